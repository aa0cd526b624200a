package vfstest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testingShort() bool { return testing.Short() }

// harmless are the errors that names which others change may give.
var harmless = []syscall.Errno{syscall.ENOENT, syscall.EEXIST, syscall.ENOTEMPTY, syscall.EINVAL, syscall.ENOTDIR,
	syscall.EISDIR, syscall.ESTALE, syscall.EPERM, syscall.ENXIO}

func expected(err error) bool {
	for _, e := range harmless {
		if errors.Is(err, e) {
			return true
		}
	}
	return err == nil
}

// Hammer has several goroutines do everything with the same few names at the same
// time, and then checks that the tree holds together, and empties it. The names
// are n0 to n5 in the directories dir0 to dir2, which may be there already, with
// contents: of hard links in them no name may be elsewhere.
func Hammer(t *testing.T, fs vfs.FS, opts Options) {
	opts.complete()
	hammerAll(newEnv(t, func(*testing.T) vfs.FS { return fs }, &opts))
}

func testHammer(e *env) {
	hammerAll(e)
	e.shows(e.root)
}

func hammerAll(e *env) {
	const workers, dirs = 4, 3
	steps := 1500
	if testing.Short() {
		steps = 300
	}
	top := make([]vfs.Node, dirs)
	for i := range top {
		name := fmt.Sprint("dir", i)
		var err error
		if top[i], err = vfs.Lookup(e.ctx, e.root, name); err != nil {
			top[i] = e.dir(e.root, name)
		}
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			h := &hammer{e: e, r: r, dirs: append([]vfs.Node(nil), top...)}
			for range steps {
				if err := h.step(); !expected(err) {
					e.Errorf("worker %d: %v", w, err)
					return
				}
			}
		})
	}
	wg.Wait()
	links := map[vfs.Node]uint32{}
	for i := range top {
		e.leads(e.root, fmt.Sprint("dir", i), top[i])
		e.checkTree(top[i], links)
	}
	for n, count := range links {
		e.nlink(n, count, "after the hammer")
	}
	for i := range top {
		e.removeTree(top[i])
		e.remove(e.root, fmt.Sprint("dir", i), true)
	}
}

// hammer is one worker; dirs are directories that it knows, removed ones too.
type hammer struct {
	e    *env
	r    *rand.Rand
	dirs []vfs.Node
}

func (h *hammer) step() error {
	e, ctx := h.e, h.e.ctx
	d, to := h.dirs[h.r.IntN(len(h.dirs))], h.dirs[h.r.IntN(len(h.dirs))]
	name, toName := fmt.Sprint("n", h.r.IntN(6)), fmt.Sprint("n", h.r.IntN(6))
	switch op := h.r.IntN(12); op {
	case 0:
		_, err := vfs.Make(ctx, d, name, e.options(unix.S_IFREG|0o600))
		return err
	case 1:
		n, err := vfs.Make(ctx, d, name, e.options(unix.S_IFDIR|0o700))
		if err == nil && len(h.dirs) < 12 {
			h.dirs = append(h.dirs, n)
		}
		return err
	case 2:
		return vfs.Remove(ctx, d, name, false)
	case 3:
		return vfs.Remove(ctx, d, name, true)
	case 4, 5:
		flags := []uint{0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}[h.r.IntN(4)]
		if e.NoExchange {
			flags &^= unix.RENAME_EXCHANGE
		}
		return vfs.Rename(ctx, d, name, to, toName, flags)
	case 6:
		n, err := vfs.Lookup(ctx, d, name)
		if err != nil || e.NoLink {
			return err
		}
		return vfs.Link(ctx, to, n, toName)
	case 7:
		f, err := vfs.Open(ctx, d, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.(vfs.DirReader).ReadDir(ctx, 0, 100)
		return err
	case 8:
		n, err := vfs.Lookup(ctx, d, name)
		if err != nil {
			return err
		}
		if _, isLink := n.(vfs.Readlinker); isLink {
			return nil // without permissions of its own
		}
		return vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o700})
	case 9:
		n, err := vfs.Lookup(ctx, d, name)
		if err != nil {
			return err
		}
		_, err = n.Stat(ctx)
		return err
	}
	n, err := vfs.Lookup(ctx, d, name)
	if err != nil {
		return err
	}
	if _, isDir := n.(vfs.Dir); isDir {
		return nil
	}
	f, err := vfs.Open(ctx, n, unix.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Node() != n {
		return fmt.Errorf("the node of an open file is another")
	}
	p := bytesOf(h.r.Uint64(), 1+h.r.IntN(5000))
	if _, err := vfs.Write(ctx, f, p, int64(h.r.IntN(5000))); err != nil {
		return err
	}
	_, err = vfs.Read(ctx, f, p, int64(h.r.IntN(5000)))
	return err
}

// checkTree counts the names of files below d, and checks each entry.
func (e *env) checkTree(d vfs.Node, links map[vfs.Node]uint32) {
	e.Helper()
	subdirs := uint32(0)
	for _, entry := range e.list(d, 4) {
		n := e.lookup(d, entry.Name)
		a := e.attr(n)
		if a.Ino != entry.Ino {
			e.Errorf("%s: number %d, listed as %d", entry.Name, a.Ino, entry.Ino)
		}
		if a.IsDir() {
			subdirs++
			e.checkTree(n, links)
		} else {
			links[n]++
		}
	}
	if !e.NoDirLinks {
		e.nlink(d, 2+subdirs, "directory after the hammer")
	}
}

func (e *env) removeTree(d vfs.Node) {
	e.Helper()
	for _, entry := range e.list(d, 100) {
		n := e.lookup(d, entry.Name)
		_, isDir := n.(vfs.Dir)
		if isDir {
			e.removeTree(n)
		}
		e.remove(d, entry.Name, isDir)
	}
}
