package desired_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
)

// allocated is how much f takes from the heap altogether, in bytes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// fill repeats what make writes up to a number of times, within the size that is read.
func fill(head string, times int, line func(i int) string, tail string) string {
	b := strings.Builder{}
	b.WriteString(head)
	for i := range times {
		b.WriteString(line(i))
		if b.Len() > desired.FileSizeMax-100 {
			break
		}
	}
	b.WriteString(tail)
	return b.String()
}

const envOf = "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: shop}\nspec:\n  stack: shop-dev\n  containers:\n    App:\n      image: {tag: 1a2b3c4}\n      env:\n"

// manyMistakes are files with as many mistakes as one asks for.
var manyMistakes = map[string]func(n int) string{
	"numbers": func(n int) string {
		return fill(envOf, n, func(i int) string { return fmt.Sprintf("        E%d: 1\n", i) }, "")
	},
	"names": func(n int) string {
		return fill(envOf, n, func(i int) string { return fmt.Sprintf("        e-%d: a\n", i) }, "")
	},
	"secrets": func(n int) string {
		return fill(envOf, n, func(i int) string { return fmt.Sprintf("        PASSWORD%d: a\n", i) }, "")
	},
	"fields": func(n int) string {
		return fill(minimal("shop"), n, func(i int) string { return fmt.Sprintf("  u%d: 1\n", i) }, "")
	},
	"containers": func(n int) string {
		return fill(minimal("shop"), n, func(i int) string { return fmt.Sprintf("    C%d: {}\n", i) }, "")
	},
	"twice": func(n int) string { return fill(minimal("shop"), n, func(int) string { return "  retry: 1\n" }, "") },
	"items": func(n int) string {
		return fill(minimal("shop")+"  dependsOn: [", n, func(int) string { return "1," }, "]\n")
	},
}

// A file with a mistake on each of its lines costs about as much as one of as many good lines. Searching for the place of each mistake
// from the beginning would cost a hundred times as much. The processor's time is compared, the best of some runs, with a wide margin: what
// else the machine does counts for little.
func TestManyMistakesCostNoMoreThanTheyAreMany(t *testing.T) {
	if raced {
		t.Skip("times say nothing here")
	}
	const lines = 40_000
	best := func(text string) time.Duration {
		least := time.Hour
		for range 2 {
			start := processorTime(t)
			_, errs := desired.Parse("shop.yaml", []byte(text), nil, testKinds())
			least = min(least, processorTime(t)-start)
			if len(errs) > 100 {
				t.Errorf("%d errors", len(errs))
			}
		}
		return least
	}
	good := best(fill(envOf, lines, func(i int) string { return fmt.Sprintf("        E%d: a\n", i) }, ""))
	for name, of := range manyMistakes {
		if took := best(of(lines)); took > 30*good {
			t.Errorf("%s: %s with mistakes, %s without", name, took, good)
		}
	}
}

// processorTime is what this process has used so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano())
}

// Whatever a file of the largest size holds, it takes less than 512 MiB from the heap altogether and ends in errors with a place.
func TestTheWorstFilesAreBounded(t *testing.T) {
	n := desired.FileSizeMax
	if raced {
		n /= 8
	}
	worst := map[string]string{
		"open brackets": strings.Repeat("[", n), "nested items": strings.Repeat("- ", n/2), "nested maps": strings.Repeat("{a: ", n/4),
		"nested questions": strings.Repeat("? ", n/2), "a huge key": minimal("shop") + "  ? " + strings.Repeat("k", n-1000) + "\n  : 1\n",
		"a huge plain key": strings.Repeat("k", n-10) + ": 1\n", "a huge number": minimal("shop") + "  retry: " + strings.Repeat("9", n-1000) + "\n",
		"documents": strings.Repeat("---\na: b\n", n/9), "zero bytes": strings.Repeat("\x00", n), "only spaces": strings.Repeat(" ", n),
		"only tabs": strings.Repeat("\t", n), "only returns": strings.Repeat("\r", n), "stars": strings.Repeat("*a\n", n/3), "anchors": strings.Repeat("&a ", n/3),
		"an open quote": "a: \"" + strings.Repeat(`\x41`, n/4-4), "not UTF-8 at the end": strings.Repeat("a", n-1) + "\xff",
		"aliases": minimal("shop") + "  q: &q x\n" + strings.Repeat("  a: *q\n", n/8-100), "UTF-16": "\xff\xfea\x00",
		"laughs": laughs(30), "laughs in a key": "a: &a [x]\n? " + strings.Repeat("[*a,*a],", 1000) + "\n: b\n",
	}
	for name, of := range manyMistakes {
		if !raced {
			worst[name] = of(n)
		}
	}
	for name, text := range worst {
		var errs []desired.Error
		took := allocated(func() { _, errs = desired.Parse("shop.yaml", []byte(text), nil, testKinds()) })
		if took > 512<<20 && !raced || len(errs) == 0 || len(errs) > 100 {
			t.Errorf("%s: %d MiB and %d errors", name, took>>20, len(errs))
		}
		for _, e := range errs {
			if e.Line < 1 || e.Col < 1 || len(e.Message) > 1000 || strings.Contains(e.Error(), "\n") {
				t.Errorf("%s: %.2000q", name, e.Error())
			}
		}
	}
}

// laughs stands for ten to the power of n words.
func laughs(n int) string {
	b := strings.Builder{}
	b.WriteString("a0: &a0 lol\n")
	for i := range n {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	return b.String()
}

// Windows' line ends and the mark at the beginning of a file change nothing; what no text may hold is told with its place.
func TestBytes(t *testing.T) {
	plain, errs := desired.Parse("shop.yaml", []byte(minimal("shop")), nil, testKinds())
	if errs != nil {
		t.Fatal(errs)
	}
	for name, text := range map[string]string{"CRLF": strings.ReplaceAll(minimal("shop"), "\n", "\r\n"), "BOM": "\ufeff" + minimal("shop")} {
		got, errs := desired.Parse("shop.yaml", []byte(text), nil, testKinds())
		if errs != nil || fmt.Sprint(got) != fmt.Sprint(plain) {
			t.Errorf("%s: %v %v", name, got, errs)
		}
	}
	for text, want := range map[string]string{
		minimal("shop") + "  retry: \x00\n": "shop.yaml:9:10: the control character U+0000 is not allowed",
		"a: é\x1b[31m\n":                    "shop.yaml:1:5: the control character U+001B is not allowed",
		"a: b\r\nc: \x7f\r\n":               "shop.yaml:2:4: the control character U+007F is not allowed",
		"a: b\n\u0080\n":                    "shop.yaml:2:1: the control character U+0080 is not allowed",
		strings.Replace(minimal("shop"), "\n", " # what\u2028she pasted\n", 1): "shop.yaml:1:29: the character U+2028 ends a line of YAML",
		minimal("shop") + "  # read\u2029  retry: 3\n":                         "shop.yaml:9:9: the character U+2029 ends a line",
		minimal("shop") + "  onFailure: \"re\u0085vert\"\n":                    "shop.yaml:9:17: the character U+0085 ends a line",
		minimal("shop") + "  \"\\L\": 1\n":                                     `shop.yaml:9:3: unknown field "\\u2028" in spec`,
		minimal("shop") + "  \"\\e[31m\\n\": 1\n":                              `shop.yaml:9:3: unknown field "\\x1b[31m\\n" in spec`,
		"a: b\nc: caf\xe9\n":                                                   "shop.yaml:2:7: this byte is not UTF-8",
		strings.ReplaceAll(minimal("shop"), "", "\x00")[:40]:                   "shop.yaml:1:1: the control character U+0000",
	} {
		_, errs := desired.Parse("shop.yaml", []byte(text), nil, testKinds())
		if len(errs) == 0 || !strings.HasPrefix(errs[0].Error(), want) {
			t.Errorf("%q: %v, want %s", text, errs, want)
		}
	}
}

// folderOf is a folder of n good services, which wait for each other as waits says.
func folderOf(n int, waits func(i int) string) fstest.MapFS {
	tree := fstest.MapFS{desired.EnvironmentFile: {Data: []byte(goodEnvironment)}}
	for i := range n {
		name := fmt.Sprintf("s%05d", i)
		tree[name+".yaml"] = &fstest.MapFile{Data: []byte(minimal(name) + waits(i))}
	}
	return tree
}

// Ten thousand files are read within some memory; a broken one is told with its place and costs nobody else anything.
func TestTenThousandFiles(t *testing.T) {
	none := func(int) string { return "" }
	for _, tt := range []struct {
		name           string
		n              int
		waits          func(i int) string
		valid, invalid int
		says           string
	}{
		{"alone", 10_000, none, 9_999, 1, "s04711.yaml:9:3: unknown field \"retri\" in spec; did you mean \"retry\"?"},
		{"a chain", 5_000, func(i int) string { return fmt.Sprintf("  dependsOn: [s%05d]\n", min(i+1, 4_999)) }, 4_998, 2, "s04711.yaml:10:3: unknown field"},
		{"a circle", 10_000, func(i int) string { return fmt.Sprintf("  dependsOn: [s%05d]\n", (i+1)%10_000) }, 0, 10_000, "the services wait for each other (s00000 → s00001 → 9998 more → s00000)"},
		{"unknown names", 2_000, func(i int) string { return fmt.Sprintf("  dependsOn: [nobody-%d]\n", i) }, 0, 2_000, "unknown service \"nobody-7\"; none of the 1999 known ones has that name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if raced {
				t.Skip("nothing here runs beside something else, and it takes long")
			}
			tree := folderOf(tt.n, tt.waits)
			broken := tt.name == "alone" || tt.name == "a chain"
			if broken {
				tree["s04711.yaml"].Data = append(tree["s04711.yaml"].Data, "  retri: 1\n"...)
			}
			var snap *desired.Snapshot
			took := allocated(func() { snap = desired.Load(tree, testKinds()) })
			if len(snap.Services) != tt.valid || len(snap.Invalid) != tt.invalid || took > 2<<30 {
				t.Errorf("%d valid, %d invalid, %d MiB; want %d and %d", len(snap.Services), len(snap.Invalid), took>>20, tt.valid, tt.invalid)
			}
			said := false
			for _, e := range snap.Errors {
				said = said || strings.Contains(e.Error(), tt.says)
				if len(e.Error()) > 500 {
					t.Fatalf("a message of %d bytes: %.300s", len(e.Error()), e)
				}
			}
			if !said {
				t.Errorf("nobody says %s; the first: %v", tt.says, snap.Errors[0])
			}
		})
	}
}

// A service is told to wait for itself exactly where a way leads back to it, and the way that is told is one.
func TestCirclesAreWhatWaitsForItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "services")
		on := make([][]int, n)
		for i := range on {
			on[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1).Filter(func(d int) bool { return d != i }), 0, min(3, n-1), rapid.ID).Draw(t, fmt.Sprint("waits ", i))
			if n == 1 {
				on[i] = nil
			}
		}
		snap := desired.Load(folderOf(n, func(i int) string {
			names := make([]string, len(on[i]))
			for k, d := range on[i] {
				names[k] = fmt.Sprintf("s%05d", d)
			}
			return "  dependsOn: [" + strings.Join(names, ", ") + "]\n"
		}), testKinds())
		for i := range on {
			reached, todo := map[int]bool{}, slices.Clone(on[i])
			for len(todo) > 0 {
				at := todo[0]
				if todo = todo[1:]; !reached[at] {
					reached[at] = true
					todo = append(todo, on[at]...)
				}
			}
			_, invalid := snap.Invalid[fmt.Sprintf("s%05d", i)]
			if invalid != reached[i] {
				t.Fatalf("s%05d of %v: invalid is %t", i, on, invalid)
			}
		}
	})
}

// Names of files are anything that git stores. Each gets one error that is one line of visible text, and stands for no service that
// could not be shown.
func TestOddNames(t *testing.T) {
	names := []string{"a\nb.yaml", "\x1b[2Jgone.yaml", "caf\xe9.yaml", "\u202eflip.yaml", strings.Repeat("n", 4091) + ".yaml", "Shop.yaml", "shop .yaml", "sh\top.yaml", "...yaml", "💥.yaml"}
	tree := fstest.MapFS{desired.EnvironmentFile: {Data: []byte(goodEnvironment)}, "shop.yaml": {Data: []byte(minimal("shop"))}}
	for _, name := range names {
		tree[name] = &fstest.MapFile{Data: []byte(minimal("shop"))}
	}
	snap := desired.Load(listed{tree}, testKinds())
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue // left alone
		}
		if !slices.ContainsFunc(snap.Errors, func(e desired.Error) bool { return e.File == name }) {
			t.Errorf("nothing is said of %q", name)
		}
	}
	for _, e := range snap.Errors {
		if text := e.Error(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q would not be shown as it is", text)
		}
	}
	for name := range snap.Invalid {
		if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			t.Errorf("there is a service %q", name)
		}
	}
}

// listed is a folder whose names are not looked at by fs.ValidPath, as those of git's trees and of Linux are not.
type listed struct{ fstest.MapFS }

func (l listed) ReadDir(string) ([]fs.DirEntry, error) {
	var out []fs.DirEntry
	for name, file := range l.MapFS {
		out = append(out, fs.FileInfoToDirEntry(named{name, file}))
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

func (l listed) Open(name string) (fs.File, error) {
	file := l.MapFS[name]
	return &openNamed{named{name, file}, bytes.NewReader(file.Data)}, nil
}

type named struct {
	name string
	file *fstest.MapFile
}

func (n named) Name() string       { return n.name }
func (n named) Size() int64        { return int64(len(n.file.Data)) }
func (n named) Mode() fs.FileMode  { return n.file.Mode }
func (n named) ModTime() time.Time { return time.Time{} }
func (n named) IsDir() bool        { return false }
func (n named) Sys() any           { return nil }

type openNamed struct {
	named
	*bytes.Reader
}

func (o *openNamed) Size() int64                { return o.named.Size() }
func (o *openNamed) Stat() (fs.FileInfo, error) { return o.named, nil }
func (o *openNamed) Close() error               { return nil }

// A folder on this machine's own disk: what is not a plain file is refused without being opened, and the service beside it is read.
func TestAFolderOnDisk(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string, mode fs.FileMode) {
		if err := os.WriteFile(path(name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	write(desired.EnvironmentFile, goodEnvironment, 0o644)
	write("shop.yaml", minimal("shop"), 0o644)
	write("menu.yaml", minimal("menu"), 0o755) // that it may be executed says nothing
	write("SHOP.yaml", minimal("shop"), 0o644) // one of both is not meant: nobody guesses which
	must(os.Symlink("/etc/passwd", path("out.yaml")))
	must(os.Symlink("../../../../../../etc/passwd", path("up.yaml")))
	must(os.Symlink("loop.yaml", path("loop.yaml")))
	must(os.Symlink("/nowhere", path("broken.yaml")))
	must(os.Symlink("shop.yaml", path("inside.yaml")))
	must(os.Mkdir(path("folder.yaml"), 0o755))
	must(syscall.Mkfifo(path("pipe.yaml"), 0o644)) // opening it would wait for ever
	write("large.yaml", "", 0o644)
	must(os.Truncate(path("large.yaml"), 50<<20))
	var snap *desired.Snapshot
	took := allocated(func() { snap = desired.Load(os.DirFS(dir), testKinds()) })
	const want = `SHOP.yaml:3:18: metadata.name is "shop", but the file is SHOP.yaml; write SHOP, or rename the file
SHOP.yaml:3:18: metadata.name shop is also in shop.yaml; one file describes one service
broken.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
folder.yaml:1:1: not a regular file but a folder; write the content into the file itself
inside.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
large.yaml:1:1: the file has 52428800 bytes, and at most 1048576 are read; an environment's files are short texts
loop.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
out.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
pipe.yaml:1:1: not a regular file but a device, pipe or socket; write the content into the file itself
shop.yaml:3:18: metadata.name shop is also in SHOP.yaml; one file describes one service
up.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
valid: menu
invalid: SHOP broken folder inside large loop out pipe shop up
`
	if got := told(snap); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if took > 10<<20 {
		t.Errorf("%d MiB were taken; a file of 50 MiB is not to be read", took>>20)
	}
}
