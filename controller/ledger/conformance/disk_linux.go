package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Mount mounts a real file system of so many KiB, in memory, at a folder. The error is fs.ErrPermission where this process may not,
// which takes root. end unmounts it.
func Mount(dir, kib string) (end func(), err error) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+kib+"k,mode=0700"); err != nil {
		return nil, fmt.Errorf("mount a small disk: %w", err)
	}
	return func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}

// filling is the file that takes what room a disk has.
const filling = "what fills the disk"

// FillDisk takes what room a disk has left, and returns the file that has it.
func FillDisk(dir string) (string, error) {
	path := filepath.Join(dir, filling)
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for chunk := make([]byte, 64<<10); len(chunk) > 0; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			return "", err
		}
	}
	return path, nil
}

// SmallDisk is a real file system of so many KiB, in memory. The test is skipped where this process may mount none, which takes
// root.
func SmallDisk(t testing.TB, kib string) string {
	t.Helper()
	dir := t.TempDir()
	end, err := Mount(dir, kib)
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("a small disk takes the right to mount one: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return dir
}

// Fill takes what room a disk has left, and returns what gives it back.
func Fill(t testing.TB, dir string) (empty func()) {
	t.Helper()
	path, err := FillDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// ReadOnly mounts a disk's content once more, at another place, where nothing can be written.
func ReadOnly(t testing.TB, dir string) string {
	t.Helper()
	again := t.TempDir()
	err := syscall.Mount(dir, again, "", syscall.MS_BIND, "")
	if err == nil {
		t.Cleanup(func() { _ = syscall.Unmount(again, syscall.MNT_DETACH) })
		err = syscall.Mount("", again, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("a read-only disk takes the right to mount one: %v", err)
	}
	if err != nil {
		t.Fatalf("mount a disk read-only: %v", err)
	}
	return again
}

// FailingDisk is a real file system on a device, of which fail makes what the kernel makes of one whose device fails: read-only, under
// who has files open. mend brings it back as an administrator does: unmounted, checked, mounted again.
func FailingDisk(t testing.TB) (dir string, fail, mend func()) {
	t.Helper()
	dir = t.TempDir()
	image := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 8<<20); err != nil {
		t.Fatal(err)
	}
	mount := func() error {
		out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", image, dir).CombinedOutput()
		if err != nil {
			return errors.New(strings.TrimSpace(string(out)) + ": " + err.Error())
		}
		return nil
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-O", "^has_journal", image).CombinedOutput(); err != nil {
		t.Skipf("no mkfs.ext4 that makes a disk here: %v %s", err, out)
	}
	if err := mount(); err != nil {
		t.Skipf("a disk on a loop device takes the right to mount one: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	fail = func() {
		device, err := exec.Command("findmnt", "-no", "SOURCE", dir).Output()
		if err == nil {
			err = os.WriteFile("/sys/fs/ext4/"+filepath.Base(strings.TrimSpace(string(device)))+"/trigger_fs_error", []byte("a test"), 0)
		}
		if err != nil {
			t.Skipf("the kernel does not let a disk fail: %v", err)
		}
	}
	mend = func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Fatalf("unmount: %v", err)
		}
		for range 100 { // the device is let go a moment later
			if out, err := exec.Command("losetup", "-j", image).Output(); err != nil || len(out) == 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		_ = exec.Command("e2fsck", "-fy", image).Run() // its exit code says that it mended something
		if err := mount(); err != nil {
			t.Fatal(err)
		}
	}
	return dir, fail, mend
}
