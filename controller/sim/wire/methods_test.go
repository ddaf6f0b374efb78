package wire_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/sim/wire"
)

// What is there during all pages is seen exactly once, whatever comes and goes between them.
func TestPagesNeitherRepeatNorHide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-e]{1,3}`), 0, 20, rapid.ID[string])
		all := names.Draw(t, "all")
		fleeting := map[string]bool{}
		for _, n := range all {
			fleeting[n] = rapid.Bool().Draw(t, "fleeting "+n)
		}
		size := rapid.IntRange(1, 5).Draw(t, "size")
		seen := map[string]int{}
		var token *string
		for pages := 0; ; pages++ {
			if pages > len(all)+1 {
				t.Fatal("the pages do not end")
			}
			now := slices.DeleteFunc(slices.Clone(all), func(n string) bool {
				return fleeting[n] && rapid.Bool().Draw(t, fmt.Sprint("gone ", pages, n))
			})
			page, next, ok := wire.Page(now, func(s string) string { return s }, token, size)
			if !ok || len(page) > size || !slices.IsSorted(page) {
				t.Fatalf("page %v, ok %v", page, ok)
			}
			for _, n := range page {
				seen[n]++
			}
			if token = next; token == nil {
				break
			}
		}
		for _, n := range all {
			if seen[n] > 1 || (!fleeting[n] && seen[n] != 1) {
				t.Fatalf("%s was seen %d times", n, seen[n])
			}
		}
	})
}

func TestPageRefusesAForeignToken(t *testing.T) {
	if _, _, ok := wire.Page([]string{"a"}, func(s string) string { return s }, aws.String("not one of ours!"), 1); ok {
		t.Error("the token was taken")
	}
}

func TestRefuseNamesTheMember(t *testing.T) {
	in := &ecs.UpdateServiceInput{Service: aws.String("s"), EnableExecuteCommand: aws.Bool(false)}
	if err := wire.Refuse(in, "Service"); err == nil || !strings.Contains(err.Error(), "UpdateService: EnableExecuteCommand is not modelled") {
		t.Errorf("got %v", err)
	}
	if err := wire.Refuse(in, "Service", "EnableExecuteCommand"); err != nil {
		t.Errorf("got %v", err)
	}
}
