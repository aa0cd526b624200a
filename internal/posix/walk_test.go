package posix

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// walkTask is a task without a machine: it can look names up.
func walkTask(tb testing.TB, root vfs.FS, mounts ...MountSpec) *Task {
	k := &Kernel{config: Config{Root: root, Mounts: mounts}}
	t := &Task{k: k, wake: make(chan struct{}, 1), ctx: &taskContext{}}
	t.creds.Store(NewCreds(0, 0, nil))
	var err error
	if k.mounts, err = newMountTable(t.context(), k.config); err != nil {
		tb.Fatal(err)
	}
	if t.fs, err = k.newFSContext(t, ""); err != nil {
		tb.Fatal(err)
	}
	t.fds = k.NewFDTable()
	return t
}

// FuzzWalk compares where paths lead with the host's own idea, which openat2
// gives for a directory taken as root.
func FuzzWalk(f *testing.F) {
	dir := f.TempDir()
	for _, d := range []string{"a/b/c", "d"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	for _, n := range []string{"f", "a/b/f", "d/f"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	for from, to := range map[string]string{
		"l": "a/b", "a/up": "..", "a/b/abs": "/d/f", "d/loop": "loop", "d/x": "../d/y", "d/y": "x", "fs": "f/", "ls": "a/b/", "dangling": "none/x",
		"a/root": "/", "a/long": "../../../../../../a/b/c", "d/self": ".",
	} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			f.Fatal(err)
		}
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(root) })
	fs, err := host.New(dir, host.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { fs.Close() })
	t := walkTask(f, fs)
	for _, p := range []string{
		"/", "a", "a/", "l/f", "l/../b", "a/up/d/self/self/f", "a/b/abs", "a/b/abs/", "d/loop", "d/x/", "fs", "ls", "ls/c/..", "dangling", "dangling/",
		"../../a/root/l", "a/long/../f", "f/.", "f/..", "./././d//f", "a/b/c/../../../..", "none/..", "a/root/", "l/c/../f/",
	} {
		f.Add(p, true)
		f.Add(p, false)
	}
	f.Fuzz(func(ft *testing.T, path string, follow bool) {
		if strings.IndexByte(path, 0) >= 0 || len(path) > 4000 {
			return
		}
		how := unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_IN_ROOT}
		flags := 0
		if !follow {
			how.Flags |= unix.O_NOFOLLOW
			flags = unix.AT_SYMLINK_NOFOLLOW
		}
		var want, wantErr any
		fd, err := unix.Openat2(root, path, &how)
		if err == nil {
			var st unix.Stat_t
			if err = unix.Fstat(fd, &st); err == nil {
				want = st.Ino
			}
			unix.Close(fd)
		}
		wantErr = err
		var got any
		l, err := t.lookupAt(unix.AT_FDCWD, path, flags)
		if err == nil {
			var a vfs.Attr
			if a, err = l.node.Stat(t.context()); err == nil {
				got = a.Ino
			}
		}
		if got != want || errnoOf(err) != errnoOf2(wantErr) {
			ft.Errorf("%q follow %v: %v %v, on the host %v %v", path, follow, got, err, want, wantErr)
		}
	})
}

func errnoOf2(err any) syscall.Errno {
	e, _ := err.(error)
	return errnoOf(e)
}

// TestRenamesKeepNames moves directories about from several tasks while others
// stand in them: a directory has one dentry, whose name is always one that it
// had, and in the end the right one.
func TestRenamesKeepNames(t *testing.T) {
	task := walkTask(t, tmp.New(tmp.Options{}))
	ctx := task.context()
	root := task.k.mounts.root
	for i := range 4 {
		for _, name := range []string{fmt.Sprintf("p%d", i), fmt.Sprintf("c%d", i)} {
			if _, err := vfs.Make(ctx, root.node, name, vfs.MakeOptions{Mode: unix.S_IFDIR | 0o755}); err != nil {
				t.Fatal(err)
			}
		}
	}
	worker := func() *Task {
		w := &Task{k: task.k, wake: make(chan struct{}, 1), ctx: &taskContext{}, fs: task.fs, fds: task.fds}
		w.creds.Store(task.creds.Load())
		return w
	}
	find := func(w *Task, path string) (*dentry, error) {
		l, err := w.lookupAt(unix.AT_FDCWD, path, 0)
		return l.d, err
	}
	var wg sync.WaitGroup
	places := [4]string{}
	for i := range 4 {
		held, err := find(task, fmt.Sprintf("/c%d", i))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			w := worker()
			at := fmt.Sprintf("/c%d", i)
			for n := range 500 {
				to := fmt.Sprintf("/p%d/c%d", (i+n)%4, i)
				if err := w.renameForTest(at, to); err != nil {
					t.Errorf("rename %s %s: %v", at, to, err)
					return
				}
				at = to
				if got := (Path{held}).String(); got != at {
					t.Errorf("held directory says %s at %s", got, at)
					return
				}
				if d, err := find(w, at); err != nil || d != held {
					t.Errorf("%s: another dentry, %v", at, err)
					return
				}
			}
			places[i] = at
		})
		wg.Go(func() { // one that only looks
			w := worker()
			for n := range 2000 {
				d, err := find(w, fmt.Sprintf("/p%d/c%d", n%4, i))
				if err == nil && d != held {
					t.Error("a walk made a second dentry")
					return
				}
			}
		})
	}
	wg.Wait()
	for i, p := range places {
		if d, err := find(task, p); err != nil || d.place.Load().deleted {
			t.Errorf("c%d at %s: %v", i, p, err)
		}
	}
}

// renameForTest is rename(2) of paths that are not in a guest's memory.
func (t *Task) renameForTest(from, to string) error {
	o, n := oldName{}, oldName{}
	for p, x := range map[string]*oldName{from: &o, to: &n} {
		var err error
		if x.w, err = t.walk(unix.AT_FDCWD, p, 0); err != nil {
			return err
		}
		if x.name, x.slash, err = x.w.toLast(); err != nil {
			return err
		}
		x.dir = x.w.at
		if err = x.find(); err != nil && errnoOf(err) != syscall.ENOENT {
			return err
		}
	}
	if done, err := t.checkRename(&o, &n, 0); done || err != nil {
		return err
	}
	return t.moveName(&o, &n, 0)
}
