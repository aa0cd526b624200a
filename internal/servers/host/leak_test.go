package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func openFDs(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

// collect runs the garbage collector and the cleanups it queues until done; a
// cleanup of the test's own tells when a round of them is through.
func collect(done func() bool) bool {
	for range 20 {
		ran := make(chan struct{})
		runtime.AddCleanup(new([64]byte), func(c chan struct{}) { close(c) }, ran)
		runtime.GC()
		<-ran
		if done() {
			return true
		}
	}
	return false
}

// 100,000 lookups over many directories, and files opened and closed, leave no
// descriptors and no table entries behind once nobody holds the nodes.
func TestNothingRemains(t *testing.T) {
	const dirs, files, lookups = 100, 20, 100_000
	dir := t.TempDir()
	for d := range dirs {
		for f := range files {
			writeFile(t, dir, fmt.Sprint(d), fmt.Sprint(f), "x")
		}
	}
	fs := serve(t, dir, host.Options{})
	root, _ := fs.Root(ctx)
	base := openFDs(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range lookups / 4 / 2 {
				i += w * 12345
				n, err := walk(root, fmt.Sprintf("%d/%d", i%dirs, i/dirs%files))
				if err != nil {
					t.Error(err)
					return
				}
				if i%50 == 0 {
					f, err := vfs.Open(ctx, n, unix.O_RDONLY)
					if err != nil {
						t.Error(err)
						return
					}
					f.Close()
				}
			}
		})
	}
	wg.Wait()
	if fs.TableSize() < files || fs.DirsKept() == 0 {
		t.Errorf("%d nodes and %d directories known: the test shows nothing", fs.TableSize(), fs.DirsKept())
	}
	if !collect(func() bool { return fs.TableSize() == 1 && fs.DirsKept() == 0 && openFDs(t) <= base }) {
		t.Errorf("%d nodes, %d directories, %d descriptors (%d before)", fs.TableSize(), fs.DirsKept(), openFDs(t), base)
	}
	runtime.KeepAlive(root)
}

// Nameless files that nobody opened go with their nodes.
func TestTmpfilesGo(t *testing.T) {
	dir := t.TempDir()
	fs := serve(t, dir, host.Options{})
	root, _ := fs.Root(ctx)
	base := openFDs(t)
	for i := range 50 {
		n := must[vfs.Node](t)(vfs.Tmpfile(ctx, root, mine(unix.S_IFREG|0o600)))
		if i%2 == 0 {
			must[vfs.File](t)(vfs.Open(ctx, n, unix.O_RDWR)).Close()
		}
	}
	if !collect(func() bool { return fs.TableSize() == 1 && openFDs(t) <= base }) {
		t.Errorf("%d nodes, %d descriptors (%d before)", fs.TableSize(), openFDs(t), base)
	}
	runtime.KeepAlive(root)
}

// The bound on directory descriptors holds, with many more directories in use
// at once, deep ones among them, and every one goes on working.
func TestDirectoryBound(t *testing.T) {
	const bound = 8
	dir := t.TempDir()
	deep := ""
	var held []vfs.Node
	fs := serve(t, dir, host.Options{MaxDirs: bound})
	root, _ := fs.Root(ctx)
	for i := range 60 {
		deep = filepath.Join(deep, fmt.Sprint("d", i))
		writeFile(t, dir, deep, "f", fmt.Sprint(i))
		held = append(held, must[vfs.Node](t)(walk(root, deep)))
	}
	base := openFDs(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				at := (i*7 + w*13) % len(held)
				n, err := vfs.Lookup(ctx, held[at], "f")
				if err != nil {
					t.Errorf("%d: %v", at, err)
					return
				}
				if i%20 == 0 {
					if got := readAll(t, n); got != fmt.Sprint(at) {
						t.Errorf("%d: read %q", at, got)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := fs.DirsKept(); n != bound {
		t.Errorf("%d directories kept, bound is %d", n, bound)
	}
	if n := openFDs(t); n > base {
		t.Errorf("%d descriptors, %d before", n, base)
	}
}

// Without descriptors left, the cache gives its own away.
func TestOutOfDescriptors(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		writeFile(t, dir, fmt.Sprint(i), "f", "x")
	}
	root, _ := serve(t, dir, host.Options{MaxDirs: 100}).Root(ctx)
	var held []vfs.Node
	for i := range 30 {
		held = append(held, must[vfs.Node](t)(walk(root, fmt.Sprint(i, "/f"))))
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(openFDs(t)) + 20, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	var hogs []int
	for {
		fd, err := unix.Dup(int(null.Fd()))
		if err != nil {
			break
		}
		hogs = append(hogs, fd)
	}
	defer func() {
		for _, fd := range hogs {
			unix.Close(fd)
		}
	}()
	f, err := vfs.Open(ctx, held[0], unix.O_RDONLY)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	f.Close()
}
