package remote_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// lending is a file whose server lends a host file and counts what it is asked.
type lending struct {
	path  string
	asked atomic.Int64

	mu      sync.Mutex
	recall  func()
	lent    int
	returns int
}

func (l *lending) Root(context.Context) (vfs.Node, error) { return l, nil }
func (l *lending) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: unix.S_IFREG | 0o666}, nil
}

func (l *lending) Open(_ context.Context, flags int) (vfs.File, error) {
	f, err := os.OpenFile(l.path, flags&unix.O_ACCMODE, 0)
	return &lendingFile{l, f}, err
}

type lendingFile struct {
	l *lending
	f *os.File
}

func (f *lendingFile) Node() vfs.Node { return f.l }
func (f *lendingFile) Close() error   { return f.f.Close() }

func (f *lendingFile) Read(_ context.Context, p []byte, off int64) (int, error) {
	f.l.asked.Add(1)
	return unix.Pread(int(f.f.Fd()), p, off)
}

func (f *lendingFile) Write(_ context.Context, p []byte, off int64) (int, error) {
	f.l.asked.Add(1)
	return unix.Pwrite(int(f.f.Fd()), p, off)
}

func (f *lendingFile) Lend(_ context.Context, _ bool, recall func()) (vfs.Loan, error) {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	f.l.recall = recall
	f.l.lent++
	return vfs.Loan{FD: int(f.f.Fd()), Return: func() {
		f.l.mu.Lock()
		defer f.l.mu.Unlock()
		f.l.returns++
	}}, nil
}

func (l *lending) counts() (lent, returns int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lent, l.returns
}

// Reads and writes of a file that was lent cross to nobody, until it is recalled:
// then the server is asked again, and told when nothing uses it any more.
func TestLending(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		l := &lending{path: filepath.Join(t.TempDir(), "f")}
		if err := os.WriteFile(l.path, []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		a, b := pair(t, shared)
		serveFS(t, b, l)
		client := newClient(t, a)
		n, _ := client.FS().Root(ctx)
		open := func(flags int) vfs.File {
			f, err := vfs.Open(ctx, n, flags)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		f, reader := open(unix.O_RDWR), open(unix.O_RDONLY)
		use := func(f vfs.File) {
			t.Helper()
			p := make([]byte, 4)
			if n, err := vfs.Read(ctx, f, p, 3); n != 4 || string(p) != "3456" || err != nil {
				t.Errorf("read %q, %v", p[:n], err)
			}
		}
		use(f)
		use(reader)
		if n, err := vfs.Write(ctx, f, []byte("3456"), 3); n != 4 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if _, err := vfs.Write(ctx, reader, []byte("x"), 0); err != syscall.EBADF {
			t.Errorf("write to a file opened for reading: %v", err)
		}
		ended, cancel := context.WithCancelCause(ctx)
		cancel(vfs.ErrInterrupted)
		if _, err := vfs.Read(ended, f, make([]byte, 1), 0); err != vfs.ErrNotBegun {
			t.Errorf("read with an ended context: %v", err)
		}
		if n := l.asked.Load(); n != 0 {
			t.Errorf("the server was asked %d times", n)
		}
		f.Close()
		eventually(t, "the loan of the closed file is over", func() bool {
			lent, returns := l.counts()
			return lent == 2 && returns == 1
		})
		l.recall()
		eventually(t, "the other is back", func() bool { _, returns := l.counts(); return returns == 2 })
		use(reader)
		if n := l.asked.Load(); n != 1 {
			t.Errorf("after the recall the server was asked %d times", n)
		}
		l.recall() // too late to matter
		last := open(unix.O_RDONLY)
		use(last)
		client.Close()
		if _, err := vfs.Read(ctx, last, make([]byte, 1), 0); !errors.Is(err, remote.ErrGone) {
			t.Errorf("after the end: %v", err)
		}
		eventually(t, "all are back", func() bool { lent, returns := l.counts(); return lent == returns })
		last.Close()
	})
}

// Recalls at any moment lose no byte and no descriptor.
func TestRecallRaces(t *testing.T) {
	l := &lending{path: filepath.Join(t.TempDir(), "f")}
	if err := os.WriteFile(l.path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, true)
	serveFS(t, b, l)
	client := newClient(t, a)
	n, _ := client.FS().Root(ctx)
	before := faulttest.Now().FDs
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			l.mu.Lock()
			recall := l.recall
			l.recall = nil
			l.mu.Unlock()
			if recall != nil {
				recall()
			}
		}
	})
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			p := make([]byte, 4)
			for range 300 {
				f, err := vfs.Open(ctx, n, unix.O_RDONLY)
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					if n, err := vfs.Read(ctx, f, p, 3); n != 4 || string(p) != "3456" || err != nil {
						t.Errorf("read %q, %v", p[:n], err)
					}
				}
				f.Close()
			}
		})
	}
	users.Wait()
	close(stop)
	wg.Wait()
	eventually(t, "all loans are back, all descriptors closed", func() bool {
		lent, returns := l.counts()
		return lent == returns && faulttest.Now().FDs <= before
	})
	if err := client.Err(); err != nil {
		t.Error(err)
	}
}

// BenchmarkLent is BenchmarkWays' read4K where each transfer crosses.
func BenchmarkLent(b *testing.B) {
	for _, lent := range []bool{false, true} {
		b.Run(map[bool]string{false: "asked", true: "lent"}[lent], func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "f")
			if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
				b.Fatal(err)
			}
			files, err := host.New(path, host.Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { files.Close() })
			x, y := pair(b, true)
			var fs vfs.FS = files
			if !lent {
				fs = asked{files}
			}
			serveFS(b, y, fs)
			n, _ := newClient(b, x).FS().Root(ctx)
			f, err := vfs.Open(ctx, n, unix.O_RDWR)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			buf := make([]byte, 1<<20)
			each(b, "read4K", 4<<10, func() error { _, err := vfs.Read(ctx, f, buf[:4<<10], 0); return err })
			each(b, "read1M", 1<<20, func() error { _, err := vfs.Read(ctx, f, buf, 0); return err })
			each(b, "write4K", 4<<10, func() error { _, err := vfs.Write(ctx, f, buf[:4<<10], 0); return err })
		})
	}
}

// asked is a file whose open files do not lend.
type asked struct{ vfs.FS }

func (a asked) Root(ctx context.Context) (vfs.Node, error) {
	n, err := a.FS.Root(ctx)
	return askedNode{n}, err
}

type askedNode struct{ vfs.Node }

func (a askedNode) Open(ctx context.Context, flags int) (vfs.File, error) {
	f, err := vfs.Open(ctx, a.Node, flags)
	return askedFile{f, a}, err
}

type askedFile struct {
	f vfs.File
	n vfs.Node
}

func (a askedFile) Node() vfs.Node { return a.n }
func (a askedFile) Close() error   { return a.f.Close() }
func (a askedFile) Read(ctx context.Context, p []byte, off int64) (int, error) {
	return vfs.Read(ctx, a.f, p, off)
}
func (a askedFile) Write(ctx context.Context, p []byte, off int64) (int, error) {
	return vfs.Write(ctx, a.f, p, off)
}
