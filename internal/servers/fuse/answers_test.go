package fuse

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// unanswered are the requests for whose answer nobody waits, and where they are
// tested.
var unanswered = map[string]string{
	"opInit": "TestInitFaults", "opDestroy": "TestDestroyFaults", "opRelease": "TestReleaseFaults", "opReleasedir": "TestReleaseFaults",
	"opForget": "has no answer", "opBatchForget": "has no answer", "opInterrupt": "TestC12_Interrupt", "opNotifyReply": "has no answer",
	"opLast": "is none",
}

// TestEveryOperation: the table of operations has all that are sent.
func TestEveryOperation(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "wire.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	values := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		name, isOp := strings.CutPrefix(v.Names[0].Name, "op")
		if l, ok := v.Values[0].(*ast.BasicLit); ok && isOp && ast.IsExported(name) {
			values["op"+name] = l.Value
		}
		return true
	})
	file, err = parser.ParseFile(token.NewFileSet(), "hostile_test.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Names[0].Name != "operations" {
			return true
		}
		for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
			have[e.(*ast.CompositeLit).Elts[0].(*ast.Ident).Name] = true
		}
		return false
	})
	if len(values) < 40 || len(have) < 30 {
		t.Fatalf("found %d operations and %d in the table", len(values), len(have))
	}
	for name := range values {
		if !have[name] && unanswered[name] == "" {
			t.Errorf("%s is not tested", name)
		}
	}
}

// misanswers are what a daemon does with a request of which it knows the answer.
var misanswers = map[string]func(q *question){
	"Twice":   func(q *question) { q.ids = []uint64{q.unique, q.unique} },
	"WrongID": func(q *question) { q.ids = []uint64{q.unique + 1<<40, q.unique + 2, q.unique} },
}

// TestC06_EachTwice: every operation has the result that it has with a daemon
// that answers once, when the daemon answers twice, or others that never were.
func TestC06_EachTwice(t *testing.T) {
	for _, name := range []string{"Twice", "WrongID"} {
		t.Run(name, func(t *testing.T) {
			eachOperation(t, func(q *question) bool { misanswers[name](q); return false }, func(s *scene, i int) {
				plain := newScene(s.T, hang)
				want := operations[i].do(plain, context.Background())
				done, _ := s.start(i, context.Background())
				if err := <-done; err != want {
					s.Errorf("%v, want %v", err, want)
				}
				s.op.Store(0)
				settled(s.T, "all is answered", func() bool { sent, n := s.fs.Pending(); return sent+n == 0 })
				if _, err := s.fs.Statfs(context.Background()); err != nil {
					s.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// TestReleaseFaults: closing never waits, whatever the daemon answers, and
// touches nobody else.
func TestReleaseFaults(t *testing.T) {
	long := make([]byte, 200<<10)
	for name, c := range map[string]struct {
		answer  func(q *question)
		pending int
		ends    bool
	}{
		"Hangs":    {func(*question) {}, 1, false},
		"Dies":     {func(*question) {}, 0, true},
		"Twice":    {func(q *question) { q.ids = []uint64{q.unique, q.unique}; q.reply(nil, nil) }, 0, false},
		"WrongID":  {func(q *question) { q.ids = []uint64{q.unique + 1<<40, q.unique}; q.reply(nil, nil) }, 0, false},
		"TooLong":  {func(q *question) { q.reply(nil, long) }, 0, false},
		"Fails":    {func(q *question) { q.reply(unix.EIO, nil) }, 0, false},
		"TooShort": {func(q *question) { _, _ = q.d.s.Write(header(16, 0, q.unique)[:15]) }, 0, true},
	} {
		for _, op := range []uint32{opRelease, opReleasedir} {
			t.Run(name, func(t *testing.T) {
				s := newScene(t, func(q *question) bool { c.answer(q); return true })
				n := s.file
				if op == opReleasedir {
					n = s.root
				}
				f, err := vfs.Open(context.Background(), n, unix.O_RDONLY)
				if err != nil {
					t.Fatal(err)
				}
				s.fs.conn.grace = forEver
				s.op.Store(op)
				f.Close()
				<-s.came
				s.op.Store(0)
				if name == "Dies" {
					unix.Shutdown(int(s.d.s.Fd()), unix.SHUT_RDWR)
				}
				settled(t, "settled", func() bool {
					sent, left := s.fs.Pending()
					return sent == c.pending && left == 0 && s.fs.conn.lost.Load() == c.ends
				})
				if _, err := s.file.Stat(context.Background()); (err != nil) != c.ends {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}

// TestInitFaults: a daemon that does not begin as it should keeps nobody.
func TestInitFaults(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(q *question)
		starts bool
	}{
		"Hangs":    {nil, false},
		"Dies":     {func(q *question) { unix.Shutdown(int(q.d.s.Fd()), unix.SHUT_RDWR) }, false},
		"Twice":    {func(q *question) { q.ids = []uint64{q.unique, q.unique} }, true},
		"WrongID":  {func(q *question) { q.ids = []uint64{q.unique + 1<<40, q.unique} }, true},
		"TooShort": {func(q *question) { q.reply(nil, make([]byte, 7)) }, false},
		"Fails":    {func(q *question) { q.reply(unix.EIO, nil) }, false},
		"Old":      {func(q *question) { var e encoder; q.reply(nil, append(e.u32(6, 1).b, make([]byte, 56)...)) }, false},
		"Notifies": {func(q *question) { q.d.tell(notifyIncEpoch, nil) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			came := make(chan struct{}, 4)
			fs, _ := mount(t, tmp.New(tmp.Options{}), Options{}, func(d *daemon) {
				d.hook = func(q *question) bool {
					if q.op != opInit {
						return false
					}
					if c.answer != nil {
						c.answer(q)
					}
					came <- struct{}{}
					return q.ids == nil
				}
			})
			<-came
			ctx, cancel := context.WithCancelCause(context.Background())
			if name == "Hangs" {
				cancel(vfs.ErrKilled)
			}
			defer cancel(nil)
			err := fs.Started(ctx)
			if (err == nil) != c.starts {
				t.Errorf("started: %v", err)
			}
			root, err := fs.Root(ctx)
			if err == nil {
				_, err = root.Stat(ctx)
			}
			if (err == nil) != c.starts {
				t.Errorf("used: %v", err)
			}
		})
	}
}

// TestDestroyFaults: unmounting does not wait for the daemon.
func TestDestroyFaults(t *testing.T) {
	for _, name := range []string{"Hangs", "Twice", "WrongID", "Dies"} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, func(q *question) bool {
				if f := misanswers[name]; f != nil {
					f(q)
					return false
				}
				return true
			})
			s.fs.conn.grace = forEver
			s.op.Store(opDestroy)
			s.fs.Unmount(false)
			<-s.came
			if name == "Dies" {
				unix.Shutdown(int(s.d.s.Fd()), unix.SHUT_RDWR)
			}
			if _, err := s.file.Stat(context.Background()); err != unix.ENOTCONN {
				t.Errorf("afterwards: %v", err)
			}
			if name == "Hangs" {
				s.fs.Unmount(true)
			}
			settled(t, "the end", s.fs.conn.lost.Load)
		})
	}
}
