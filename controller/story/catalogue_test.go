package story

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// entry is one line of testdata/catalogue.md: one way to meet a row of the account's catalogue of failures.
type entry struct {
	row    string
	cause  string
	class  string   // product, blocked, infrastructure, no data; "-" where nobody is to blame
	when   string   // the moment, and in brackets what the service is like
	deeds  []string // faults as YAML, or lines of the stories' language
	ends   []string // how rollouts end while it lasts: kind, result, reason
	phase  string
	cond   string // type, truth, reason
	serves string // the image that the service names meanwhile
	next   string // words of the next step
	mended string // what serves once it is mended, and after which word of git
}

var catalogueFiles = []string{"testdata/catalogue/refused.md", "testdata/catalogue/start.md", "testdata/catalogue/running.md", "testdata/catalogue/others.md"}

// readCatalogue reads the lines that the controller can meet, and the rows that it cannot, with the reason.
func readCatalogue(t *testing.T) (met []entry, never map[string]string) {
	t.Helper()
	never = map[string]string{}
	for _, file := range catalogueFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, l := range strings.Split(string(text), "\n") {
			var cells []string
			for _, c := range strings.Split(strings.Trim(l, "|"), " | ") {
				cells = append(cells, strings.TrimSpace(c))
			}
			switch {
			case !rowNumber.MatchString(cells[0]):
			case len(cells) == 3:
				never[cells[0]] = cells[2]
			case len(cells) == 11:
				met = append(met, entry{cells[0], cells[1], cells[2], cells[3], list(cells[4]), list(cells[5]), cells[6], cells[7], cells[8], cells[9], cells[10]})
			default:
				t.Errorf("%s:%d has %d cells", file, n+1, len(cells))
			}
		}
	}
	return met, never
}

var rowNumber = regexp.MustCompile(`^[ABCD]\d+$`)

func list(cell string) []string {
	if cell == "-" {
		return nil
	}
	return strings.Split(strings.ReplaceAll(cell, "`", ""), "; ")
}

// Every row is met, or it says why the controller cannot meet it.
func TestCatalogueIsWhole(t *testing.T) {
	met, never := readCatalogue(t)
	seen := map[string]bool{}
	for _, e := range met {
		seen[e.row] = true
		if never[e.row] != "" {
			t.Errorf("%s is met, and it is said that it cannot be: %s", e.row, never[e.row])
		}
		if !slices.Contains([]string{"product", "blocked", "infrastructure", "no data", "-"}, e.class) {
			t.Errorf("%s: %q is no class", e.row, e.class)
		}
	}
	for letter, n := range map[string]int{"A": 33, "B": 24, "C": 35, "D": 28} {
		for i := 1; i <= n; i++ {
			if id := fmt.Sprint(letter, i); !seen[id] && never[id] == "" {
				t.Errorf("row %s is missing", id)
			}
		}
	}
}

// Each row comes to what the catalogue means by it: class, condition and reason, the next step, and what serves.
func TestCatalogue(t *testing.T) {
	met, _ := readCatalogue(t)
	count := map[string]int{}
	for i, e := range met {
		count[e.row]++
		if !sampled(i) {
			continue
		}
		t.Run(fmt.Sprintf("%s_%d", e.row, count[e.row]), func(t *testing.T) {
			t.Parallel()
			e.run(t, nil)
		})
	}
}

// run meets the row in a world of its own. change is done to the world before anything else.
func (e entry) run(t *testing.T, change func(*Options)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		options := Options{Seed: 1, Timing: quick(), Watch: 9*time.Second + 3*time.Millisecond}
		like := e.like()
		for _, l := range like {
			likenesses[l](&options)
		}
		if change != nil {
			change(&options)
		}
		w, err := New(dir, options)
		if err != nil {
			t.Fatal(err)
		}
		told := &Telling{World: w, story: &Story{}}
		err = errors.Join(e.meet(told, like), told.secretive())
		if err = errors.Join(err, w.Close()); err != nil {
			t.Errorf("%s: %s\n\n%s\n%v", e.row, e.cause, w.Journal(), err)
		}
	})
}

// like is what the service is like, besides being ordinary.
func (e entry) like() []string {
	_, in, found := strings.Cut(e.when, "(")
	if !found {
		return nil
	}
	return strings.Split(strings.TrimSuffix(in, ")"), ", ")
}
