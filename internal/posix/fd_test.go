package posix

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// countedFile tells when it is closed.
type countedFile struct{ open *atomic.Int64 }

func newCountedFile(n *atomic.Int64) vfs.File {
	n.Add(1)
	return &countedFile{n}
}

func (f *countedFile) Node() vfs.Node { return f }

func (f *countedFile) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Mode: unix.S_IFREG}, nil
}

func (f *countedFile) Close() error {
	f.open.Add(-1)
	return nil
}

func testTable() *FDTable {
	k := &Kernel{mounts: &mountTable{}}
	k.mounts.locks.init()
	return k.NewFDTable()
}

func TestFDTableNumbers(t *testing.T) {
	var open atomic.Int64
	table := testTable()
	add := func(min int, limit uint64) int {
		t.Helper()
		fd, err := table.reserve(min, limit, false)
		if err != nil {
			return -1
		}
		table.install(fd, newDescription(newCountedFile(&open), Path{}, unix.O_RDWR))
		return fd
	}
	free := func(fd int) {
		d, err := table.remove(fd)
		if err != nil {
			t.Fatal(err)
		}
		d.release()
	}
	for i := range 200 {
		if got := add(0, 1000); got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
	free(130)
	free(5)
	free(64)
	for _, c := range []struct {
		min   int
		limit uint64
		want  int
	}{
		{64, 1000, 64}, {64, 1000, 130}, {64, 1000, 200}, {0, 1000, 5}, {0, 201, -1}, {0, 1000, 201}, {500, 1000, 500}, {1000, 1000, -1}, {0, 1000, 202},
	} {
		if got := add(c.min, c.limit); got != c.want {
			t.Errorf("from %d below %d: got %d, want %d", c.min, c.limit, got, c.want)
		}
	}
	// A number that an open has reserved is neither open nor free.
	fd, err := table.reserve(0, 1000, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.get(fd); err != syscall.EBADF {
		t.Errorf("get of a reserved number: %v", err)
	}
	if _, err := table.remove(fd); err != syscall.EBADF {
		t.Errorf("remove of a reserved number: %v", err)
	}
	d := newDescription(newCountedFile(&open), Path{}, 0)
	if _, err := table.replace(fd, d, false, 1000); err != syscall.EBUSY {
		t.Errorf("replace of a reserved number: %v", err)
	}
	d.release()
	copied := table.fork()
	if _, err := copied.get(fd); err != syscall.EBADF {
		t.Errorf("a reserved number in a copy: %v", err)
	}
	table.unreserve(fd)
	copied.setCloseOnExec(0, 99, true)
	copied = copied.unshareForExec()
	if got := copied.next(0); got != 100 {
		t.Errorf("the first descriptor after exec: %d", got)
	}
	copied.drop()
	table.share().drop()
	if open.Load() == 0 {
		t.Error("closed with a user left")
	}
	table.drop()
	if n := open.Load(); n != 0 {
		t.Errorf("%d files left open", n)
	}
}

// TestFDTableRaces has descriptors made, looked up and closed at once: what is
// found is open, and in the end every file was closed once.
func TestFDTableRaces(t *testing.T) {
	var open atomic.Int64
	table := testTable()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3000 {
				switch fd := rand.IntN(300); rand.IntN(6) {
				case 0, 1:
					if fd, err := table.reserve(fd, 1000, false); err == nil {
						table.install(fd, newDescription(newCountedFile(&open), Path{}, unix.O_RDWR))
					}
				case 2:
					if d, err := table.remove(fd); err == nil {
						d.release()
					}
				case 3:
					if d, err := table.get(fd); err == nil {
						if old, err := table.replace(rand.IntN(300), d, false, 1000); err != nil {
							d.release()
						} else if old != nil {
							old.release()
						}
					}
				case 4:
					c := table.fork()
					c.drop()
				default:
					if d, err := table.get(fd); err == nil {
						if d.refs.Load() < 1 || open.Load() < 1 {
							t.Error("found a closed file")
						}
						d.release()
					}
				}
			}
		})
	}
	wg.Wait()
	table.drop()
	if n := open.Load(); n != 0 {
		t.Errorf("%d files left open", n)
	}
}

func TestOffsetLock(t *testing.T) {
	task, _ := fileTask(t)
	var l offsetLock
	var held, count int
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			mine := &Task{k: task.k, proc: task.proc, wake: make(chan struct{}, 1), ctx: &taskContext{}}
			for range 2000 {
				if err := l.lock(mine); err != nil {
					t.Error(err)
					return
				}
				if held++; held != 1 {
					t.Error("held twice")
				}
				held--
				count++
				l.unlock()
			}
		})
	}
	wg.Wait()
	if count != 8000 {
		t.Errorf("%d turns", count)
	}
}
