package client

import (
	"strings"
	"testing"
)

func TestParseBucket(t *testing.T) {
	name, b, err := ParseBucket("ecs service modify=100/7.5")
	if err != nil || name != BucketServiceModify || b != (Bucket{Burst: 100, Refill: 7.5}) {
		t.Errorf("%q %+v, %v", name, b, err)
	}
	for text, want := range map[string]string{
		"":                           "the budgets are: cloudformation read, ",
		"ecs=1/1":                    `"ecs" is no budget`,
		"ecs service modify":         "such as ecs service modify=50/5",
		"ecs service modify=5":       "write ecs service modify=BURST/REFILL",
		"ecs service modify=0/5":     `"0/5" are not the limits`,
		"ecs service modify=5/0":     `"5/0" are not the limits`,
		"ecs service modify=NaN/1":   `"NaN/1" are not the limits`,
		"ecs service modify=Inf/1":   `"Inf/1" are not the limits`,
		"ecs service modify=1/2/3":   `"1/2/3" are not the limits`,
		"ecs service modify=1 / 2":   `"1 / 2" are not the limits`,
		"ecs service modify=-3/-0.5": `"-3/-0.5" are not the limits`,
	} {
		if _, _, err := ParseBucket(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
