package gitrepo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/ledger/conformance"
	"github.com/canteen/deploy/controller/strategy"
)

// atLength skips a test that takes long: it moves hundreds of megabytes, or waits for servers. Under the race detector it would
// take minutes, and is not run.
func atLength(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}

// gitIn runs the real git in a repository.
func gitIn(t *testing.T, dir string, stdin io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.Command(needGit(t), append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+dir)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// noise is what no compression makes small.
func noise(size int, seed uint64) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	data := make([]byte, size)
	_, _ = r.Read(data)
	return data
}

// peak is by how much the heap grows at most while f runs.
func peak(f func()) uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapInuse, m.HeapInuse
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return most - before
}

// Neither a file that is far too large, nor a large object elsewhere, nor one that unpacks to hundreds of MiB is ever held: the size is
// told, and the files beside it are read.
func TestLargeObjectsAreNeverHeld(t *testing.T) {
	atLength(t)
	b := newRepo(t, true)
	put := func(r io.Reader, compression string) string {
		return gitIn(t, b.path, r, "-c", "core.compression="+compression, "hash-object", "-w", "--stdin")
	}
	large, video := put(bytes.NewReader(noise(50_000_000, 1)), "0"), put(bytes.NewReader(noise(100_000_000, 2)), "0")
	bomb := put(io.LimitReader(zeros{}, 300_000_000), "1")
	good := put(strings.NewReader("good"), "1")
	dev := gitIn(t, b.path, strings.NewReader("100644 blob "+good+"\tgood.yaml\n100644 blob "+large+"\tlarge.yaml\n100644 blob "+bomb+"\tbomb.yaml\n"), "mktree")
	root := gitIn(t, b.path, strings.NewReader("040000 tree "+dev+"\tdev\n100644 blob "+video+"\tvideo.mp4\n"), "mktree")
	b.point("main", plumbing.NewHash(gitIn(t, b.path, nil, "-c", "user.name=A", "-c", "user.email=a@b.example", "commit-tree", "-m", "large", root)))
	var fetches atomic.Int32
	remote := gitrepo.Config{Source: serve(t, b, &fetches), Folder: "dev", Auth: tokenFile(t, token)}
	local := gitrepo.Config{Source: b.path, Folder: "dev"}
	look := func(name string, cfg gitrepo.Config) {
		t.Helper()
		var head gitrepo.Head
		if took := peak(func() { head = fetch(t, open(t, cfg)) }); took > 64<<20 {
			t.Errorf("%s: the heap grew by %d MiB", name, took>>20)
		}
		sizes := [3]int64{head.Files["good.yaml"].Size, head.Files["large.yaml"].Size, head.Files["bomb.yaml"].Size}
		if sizes != [3]int64{4, 50_000_000, 300_000_000} {
			t.Errorf("%s: the sizes are %d", name, sizes)
		}
		if data, err := fs.ReadFile(head.FS(), "good.yaml"); err != nil || string(data) != "good" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	look("remote", remote)
	look("local, loose", local)
	gitIn(t, b.path, nil, "-c", "pack.compression=1", "-c", "core.bigFileThreshold=1m", "repack", "-adq")
	look("local, packed", local)
	look("remote, packed", remote)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What a server sends as differences is read as it was committed, over many commits, with files that were large once and are not now,
// and others that are large and were sent as differences.
func TestDifferencesAreApplied(t *testing.T) {
	atLength(t)
	b := newRepo(t, true)
	base := noise(6<<20, 3)
	text := func(i, n int) string {
		return strings.Repeat(fmt.Sprintf("service %d has many lines that stay\n", i), 60) + fmt.Sprintf("and one of commit %d\n", n)
	}
	tree := func(n int, shrunk string) files {
		f := files{"d/shrunk.yaml": shrunk}
		for i := range 40 {
			f[fmt.Sprintf("d/s%02d.yaml", i)] = text(i, n)
		}
		return f
	}
	tip := b.commit("0", tree(0, string(base)))
	var fetches atomic.Int32
	r := open(t, gitrepo.Config{Source: serve(t, b, &fetches), Folder: "d", Auth: tokenFile(t, token)})
	if got := fetch(t, r).Files["shrunk.yaml"].Size; got != 6<<20 {
		t.Errorf("the size is %d", got)
	}
	for n := range 12 {
		tip = b.commit(fmt.Sprint(n+1), tree(n+1, string(base)+fmt.Sprint(n)), tip)
	}
	small := string(base[:gitrepo.FileSizeMax-10])
	b.commit("small", tree(99, small), tip)
	gitIn(t, b.path, nil, "repack", "-adfq", "--depth=50", "--window=50")
	head := fetch(t, r)
	want := map[string]string{"shrunk.yaml": small}
	for i := range 40 {
		want[fmt.Sprintf("s%02d.yaml", i)] = text(i, 99)
	}
	if diff := cmp.Diff(want, contents(t, head.FS())); diff != "" {
		t.Errorf("%.500s", diff)
	}
	// A large file of which the server has a difference only.
	b.commit("two alike", files{"d/one.yaml": string(base) + "1", "d/two.yaml": string(base) + "22", "d/a.yaml": "a"})
	gitIn(t, b.path, nil, "repack", "-adfq")
	head = fetch(t, open(t, gitrepo.Config{Source: serve(t, b, &fetches), Folder: "d", Auth: tokenFile(t, token)}))
	if one, two := head.Files["one.yaml"].Size, head.Files["two.yaml"].Size; one < 6<<20 || two < 6<<20 || len(head.Files) != 3 {
		t.Errorf("the sizes are %d and %d", one, two)
	}
}

// What a tree can hold and a work tree may not, over a real clone: each odd entry is told of its own file, and the good one is read.
func TestOddTreesOverAClone(t *testing.T) {
	atLength(t)
	b := newRepo(t, true)
	const good = "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: shop}\nspec:\n  stack: shop-dev\n  containers:\n    App:\n      image: {tag: 1a2b3c4}\n"
	const env = "apiVersion: deploy/v1\nkind: Environment\nmetadata:\n  name: dev\nspec:\n  account: \"000000000000\"\n  region: eu-central-1\n"
	long := strings.Repeat("n", gitrepo.NameMax-5) + ".yaml"
	b.commit("odd", files{
		"d/environment.yaml": env, "d/shop.yaml": script(good),
		"d/out.yaml": link("/etc/passwd"), "d/up.yaml": link("../../../../etc/passwd"), "d/loop.yaml": link("loop.yaml"), "d/to-shop.yaml": link("shop.yaml"),
		"d/module.yaml": submodule("1234567890123456789012345678901234567890"), "d/folder.yaml/x": "x",
		"d/MENU.yaml": strings.ReplaceAll(good, "shop", "MENU"), "d/menu.yaml": strings.ReplaceAll(good, "shop", "menu"),
		"d/new\nline.yaml": good, "d/\x1b[2J.yaml": good, "d/\xff.yaml": good, "d/" + long: good, "d/other.yaml": strings.ReplaceAll(good, "shop", "other"),
	})
	var fetches atomic.Int32
	for name, cfg := range map[string]gitrepo.Config{"local": {Source: b.path}, "remote": {Source: serve(t, b, &fetches), Auth: tokenFile(t, token)}} {
		cfg.Folder = "d"
		snap := desired.Load(fetch(t, open(t, cfg)).FS(), desired.Kinds{Checks: health.Kinds(), Strategies: strategy.Kinds()})
		var valid []string
		for service := range snap.Services {
			valid = append(valid, service)
		}
		slices.Sort(valid)
		// Two files that name the same service condemn both: the shop.
		if !slices.Equal(valid, []string{"menu", "other"}) {
			t.Errorf("%s: valid are %v: %v", name, valid, snap.Errors)
		}
		for _, file := range []string{"out.yaml", "up.yaml", "loop.yaml", "to-shop.yaml", "module.yaml", "folder.yaml", "MENU.yaml", "new\nline.yaml", "\x1b[2J.yaml", "\xff.yaml", long} {
			at := slices.IndexFunc(snap.Errors, func(e desired.Error) bool { return e.File == file })
			if at < 0 {
				t.Errorf("%s: nothing is said of %.40q", name, file)
			} else if text := snap.Errors[at].Error(); strings.ContainsAny(text, "\n\x1b\xff") || strings.Contains(text, "root:") {
				t.Errorf("%s: %.200q", name, text)
			}
		}
	}
	b.commit("too long", files{"d/" + long + "n": "x"})
	if _, err := open(t, gitrepo.Config{Source: b.path, Folder: "d"}).Fetch(t.Context()); fault.CodeOf(err) != gitrepo.CodeBadTree || len(err.Error()) > 400 {
		t.Errorf("%.300v", err)
	}
}

// ways is a proxy to a git server that does to the answers what mode says.
type ways struct {
	mode atomic.Value // func(http.ResponseWriter, *http.Request, http.Handler)
}

type way func(w http.ResponseWriter, r *http.Request, git http.Handler)

func wayTo(t *testing.T, b *builder) (*ways, string) {
	t.Helper()
	var fetches atomic.Int32
	target, err := url.Parse(serve(t, b, &fetches))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})
	proxy.ErrorLog = nil
	w := &ways{}
	w.mode.Store(well)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.mode.Load().(way)(rw, r, proxy) }))
	t.Cleanup(server.Close)
	return w, server.URL + target.Path
}

var well = way(func(w http.ResponseWriter, r *http.Request, git http.Handler) { git.ServeHTTP(w, r) })

// packs are the requests that fetch; the others ask for the tip.
func packs(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/git-upload-pack") }

// cutAfter ends the answer to some requests after so many bytes.
func cutAfter(n int, which func(*http.Request) bool) way {
	return func(w http.ResponseWriter, r *http.Request, git http.Handler) {
		if !which(r) {
			git.ServeHTTP(w, r)
			return
		}
		got := httptest.NewRecorder()
		git.ServeHTTP(got, r)
		w.Header().Set("Content-Type", got.Header().Get("Content-Type"))
		w.Header().Set("Content-Length", fmt.Sprint(got.Body.Len()+1))
		_, _ = w.Write(got.Body.Bytes()[:min(n, got.Body.Len())])
		panic(http.ErrAbortHandler)
	}
}

// dripping sends one byte at a time for as long as somebody takes them.
func dripping(which func(*http.Request) bool) way {
	return func(w http.ResponseWriter, r *http.Request, git http.Handler) {
		if !which(r) {
			git.ServeHTTP(w, r)
			return
		}
		got := httptest.NewRecorder()
		git.ServeHTTP(got, r)
		w.Header().Set("Content-Type", got.Header().Get("Content-Type"))
		for _, c := range got.Body.Bytes() {
			if _, err := w.Write([]byte{c}); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Second):
			}
		}
	}
}

func answering(code int, contentType, body string, which func(*http.Request) bool) way {
	return func(w http.ResponseWriter, r *http.Request, git http.Handler) {
		if !which(r) {
			git.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// Whatever a server does, a fetch ends within the caller's deadline, its error is short and repeats neither token nor page, the head before
// stays good, and the next fetch from a server that is well again succeeds.
func TestServersThatMisbehave(t *testing.T) {
	atLength(t)
	b := newRepo(t, true)
	var everything = func(*http.Request) bool { return true }
	page := "<html><body>" + strings.Repeat("Please log in. ", 5000) + token + "</body></html>"
	modes := map[string]way{
		"a page in place of the tip":    answering(200, "text/html", page, everything),
		"a page in place of the pack":   answering(200, "text/html", page, packs),
		"a page of an error":            answering(502, "text/html", page, everything),
		"too many requests":             answering(429, "text/html", page, everything),
		"a page under git's own type":   answering(200, "application/x-git-upload-pack-advertisement", page, everything),
		"an empty answer":               answering(200, "application/x-git-upload-pack-advertisement", "", everything),
		"an empty pack":                 answering(200, "application/x-git-upload-pack-result", "", packs),
		"a pack that is none":           answering(200, "application/x-git-upload-pack-result", "0008NAK\nPACK"+strings.Repeat("\xff", 5000), packs),
		"a pack of billions of objects": answering(200, "application/x-git-upload-pack-result", "0008NAK\nPACK\x00\x00\x00\x02\xff\xff\xff\xff", packs),
		"one byte a second, the tip":    dripping(everything),
		"one byte a second, the pack":   dripping(packs),
		"a line of 60 KB":               answering(200, "application/x-git-upload-pack-advertisement", "ffff"+strings.Repeat("a", 65531), everything),
		"redirects without end": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, r.URL.Path+"?again", http.StatusFound)
		},
		"nothing ever": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() },
	}
	for _, n := range []int{0, 1, 7, 40, 200, 900, 5000} {
		modes[fmt.Sprintf("the tip cut after %d", n)] = cutAfter(n, func(r *http.Request) bool { return !packs(r) && n < 200 })
		modes[fmt.Sprintf("the pack cut after %d", n)] = cutAfter(n, packs)
	}
	tree := services(30, string(noise(300, 9)))
	tip := b.commit("one", tree)
	w, source := wayTo(t, b)
	r := open(t, gitrepo.Config{Source: source, Folder: "desired/dev", Auth: tokenFile(t, token)})
	before := fetch(t, r)
	goroutines := runtime.NumGoroutine()
	for name, mode := range modes {
		tree["desired/dev/service-00000.yaml"] = name
		tip = b.commit(name, tree, tip)
		w.mode.Store(mode)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		start := time.Now()
		_, err := r.Fetch(ctx)
		cancel()
		if strings.HasPrefix(name, "the tip cut") && err == nil { // it was long enough
			before = fetch(t, r)
			continue
		}
		if err == nil || len(err.Error()) > 600 || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "log in") {
			t.Errorf("%s: %.700v", name, err)
		}
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		if fault.Is(err, fault.Terminal) || fault.Is(err, fault.Blocked) && !strings.Contains(name, "empty answer") {
			t.Errorf("%s: nobody need mend anything for %v (%s)", name, err, fault.KindOf(err))
		}
		if len(contents(t, before.FS())) != 30 {
			t.Errorf("%s: the head before is not whole any more", name)
		}
		w.mode.Store(well)
		if before = fetch(t, r); contents(t, before.FS())["service-00000.yaml"] != name {
			t.Errorf("%s: afterwards another commit is read", name)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for start := time.Now(); runtime.NumGoroutine() > goroutines+10; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 15*time.Second {
			t.Fatalf("%d goroutines are left, %d were there", runtime.NumGoroutine(), goroutines)
		}
	}
}

// An ssh server that accepts and says nothing keeps neither goroutines nor connections beyond the caller's deadline.
func TestSilentSSHServersKeepNothing(t *testing.T) {
	atLength(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var accepted []net.Conn
	defer func() {
		_ = listener.Close()
		for _, c := range accepted {
			_ = c.Close()
		}
	}()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			accepted = append(accepted, c)
			mu.Unlock()
		}
	}()
	host, _ := newKey(t)
	_, key := newKey(t)
	addr := listener.Addr().String()
	r := open(t, gitrepo.Config{Source: "ssh://git@" + addr + "/r", Auth: gitrepo.Auth{SSHKeyFile: key, SSHKnownHosts: knownHosts(t, addr, host.PublicKey())}})
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if _, err := r.Fetch(ctx); err == nil {
			t.Error("something was fetched")
		}
		cancel()
	}
	for start := time.Now(); runtime.NumGoroutine() > before+3; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d goroutines, %d before 20 fetches", runtime.NumGoroutine(), before)
		}
	}
}

// A branch that is moved, renamed, deleted, covered by a tag, or begun anew; a repository that is emptied, shallow, or pruned: what cannot be
// read is told, and what can be read again is.
func TestRepositoriesThatAreChangedUnderneath(t *testing.T) {
	atLength(t)
	b := newRepo(t, true)
	root := b.commit("one", services(3, "one"))
	w, source := wayTo(t, b)
	_ = w
	r := open(t, gitrepo.Config{Source: source, Folder: "desired/dev", Auth: tokenFile(t, token)})
	reads := func(want string, rewritten bool) {
		t.Helper()
		head := fetch(t, r)
		if got := contents(t, head.FS())["service-00001.yaml"]; got != want || head.Rewritten != rewritten {
			t.Errorf("%q, rewritten %t; want %q, %t", got, head.Rewritten, want, rewritten)
		}
	}
	refuses := func(code string) {
		t.Helper()
		if _, err := r.Fetch(t.Context()); fault.CodeOf(err) != code || err == nil {
			t.Errorf("%v (%s), want %s", err, fault.CodeOf(err), code)
		}
	}
	reads("one", false)
	prune := func() {
		gitIn(t, b.path, nil, "reflog", "expire", "--expire=now", "--all")
		gitIn(t, b.path, nil, "gc", "-q", "--prune=now")
	}
	b.commit("unrelated", services(3, "two"))
	prune()
	if _, err := b.repo.CommitObject(root); err == nil {
		t.Fatal("the first commit is still there")
	}
	reads("two", true)
	reads("two", true)
	gitIn(t, b.path, nil, "branch", "-m", "main", "trunk")
	refuses(gitrepo.CodeBranchNotFound)
	gitIn(t, b.path, nil, "tag", "main", "trunk") // a tag is no branch, whatever its name
	refuses(gitrepo.CodeBranchNotFound)
	gitIn(t, b.path, nil, "branch", "main", "refs/heads/trunk")
	second := b.commit("three", services(3, "three"), plumbing.NewHash(gitIn(t, b.path, nil, "rev-parse", "refs/heads/main")))
	reads("three", false)
	gitIn(t, b.path, nil, "symbolic-ref", "HEAD", "refs/heads/elsewhere")
	reads("three", false)
	// Emptied: no branch at all.
	gitIn(t, b.path, nil, "update-ref", "-d", "refs/heads/main")
	gitIn(t, b.path, nil, "update-ref", "-d", "refs/heads/trunk")
	gitIn(t, b.path, nil, "update-ref", "-d", "refs/tags/main")
	prune()
	refuses(gitrepo.CodeBranchNotFound)
	b.repo.Storer.(interface{ Reindex() }).Reindex()
	anew := b.commit("four", services(3, "four"))
	reads("four", true)
	if anew == second {
		t.Error("the same commit")
	}
	// Shallow: the server has the newest commits only.
	for n := range 5 {
		anew = b.commit(fmt.Sprint(n), services(3, fmt.Sprint(n)), anew)
	}
	shallow := filepath.Join(t.TempDir(), "repo.git")
	gitIn(t, t.TempDir(), nil, "clone", "-q", "--bare", "--depth=2", "file://"+b.path, "--branch", "main", shallow)
	var fetches atomic.Int32
	for name, cfg := range map[string]gitrepo.Config{"local": {Source: shallow}, "remote": {Source: serve(t, &builder{t: t, path: shallow}, &fetches), Auth: tokenFile(t, token)}} {
		cfg.Folder = "desired/dev"
		follower := open(t, cfg)
		if got := contents(t, fetch(t, follower).FS())["service-00001.yaml"]; got != "4" {
			t.Errorf("%s, shallow: %q", name, got)
		}
	}
}

// A disk that is full, or can only be read, under what is fetched: told, nothing is left on it, and the next fetch with room succeeds.
func TestADiskWithoutRoomForAFetch(t *testing.T) {
	atLength(t)
	dir := conformance.SmallDisk(t, "1024")
	b := newRepo(t, true)
	b.commit("one", services(3, string(noise(100_000, 5))))
	var fetches atomic.Int32
	source, auth := serve(t, b, &fetches), tokenFile(t, token)
	r := open(t, gitrepo.Config{Source: source, Folder: "desired/dev", Auth: auth, CacheDir: filepath.Join(dir, "cache")})
	empty := conformance.Fill(t, dir)
	for range 3 {
		if _, err := r.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left on device") || fault.KindOf(err) != fault.Unknown {
			t.Errorf("on a full disk: %v", err)
		}
	}
	empty()
	if got := contents(t, fetch(t, r).FS()); len(got) != 3 {
		t.Errorf("read %d files", len(got))
	}
	if left, err := os.ReadDir(filepath.Join(dir, "cache")); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	only := conformance.ReadOnly(t, dir)
	again := open(t, gitrepo.Config{Source: source, Folder: "desired/dev", Auth: auth, CacheDir: filepath.Join(only, "cache")})
	if _, err := again.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("on a read-only disk: %v", err)
	}
	if _, err := gitrepo.Open(gitrepo.Config{Source: source, CacheDir: filepath.Join(only, "none")}); !fault.Is(err, fault.Terminal) || !errors.Is(err, fs.ErrExist) && !strings.Contains(err.Error(), "read-only") {
		t.Errorf("no folder on a read-only disk: %v", err)
	}
}
