package guard_test

import (
	"context"
	"testing"

	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// fast is a server that answers at once.
type fast struct{ vfs.Attr }

func (f *fast) Root(context.Context) (vfs.Node, error)                  { return f, nil }
func (f *fast) Stat(context.Context) (vfs.Attr, error)                  { return f.Attr, nil }
func (f *fast) Open(context.Context, int) (vfs.File, error)             { return f, nil }
func (f *fast) Node() vfs.Node                                          { return f }
func (f *fast) Close() error                                            { return nil }
func (f *fast) Read(_ context.Context, p []byte, _ int64) (int, error)  { return len(p), nil }
func (f *fast) Write(_ context.Context, p []byte, _ int64) (int, error) { return len(p), nil }

// actorContext is what a task's system calls have.
type actorContext struct {
	context.Context
	a *guard.Actor
}

func (c actorContext) Value(key any) any {
	if _, ok := key.(guard.ActorKey); ok {
		return c.a
	}
	return c.Context.Value(key)
}

// asActor runs f as a task does.
func asActor(ctx context.Context, f func(ctx context.Context, a *guard.Actor)) {
	a := &guard.Actor{}
	done := make(chan struct{})
	go a.Run(func() {
		defer close(done)
		f(&actorContext{ctx, a}, a)
	})
	<-done
}

// BenchmarkCall is what the guard adds to a call that does not wait.
func BenchmarkCall(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := &fast{vfs.Attr{Mode: unix.S_IFREG}}
	calls := func(ctx context.Context, b *testing.B, fs vfs.FS) {
		n, err := fs.Root(ctx)
		if err != nil {
			b.Fatal(err)
		}
		f, err := vfs.Open(ctx, n, unix.O_RDWR)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("stat", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.Stat(ctx)
			}
		})
		for _, size := range []int{1, 4096, 65536} {
			p := make([]byte, size)
			b.Run("read/"+map[int]string{1: "1", 4096: "4k", 65536: "64k"}[size], func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					vfs.Read(ctx, f, p, 0)
				}
			})
		}
	}
	b.Run("plain", func(b *testing.B) { calls(ctx, b, server) })
	g := guard.New(server, guard.Options{})
	defer g.Close()
	b.Run("worker", func(b *testing.B) { calls(ctx, b, g.FS()) })
	b.Run("actor", func(b *testing.B) {
		asActor(ctx, func(ctx context.Context, a *guard.Actor) {
			n, _ := g.FS().Root(ctx)
			f, _ := vfs.Open(ctx, n, unix.O_RDWR)
			b.ReportAllocs()
			p := make([]byte, 1)
			for b.Loop() {
				vfs.Read(ctx, f, p, 0)
			}
		})
	})
	b.Run("actor4k", func(b *testing.B) {
		asActor(ctx, func(ctx context.Context, a *guard.Actor) {
			n, _ := g.FS().Root(ctx)
			f, _ := vfs.Open(ctx, n, unix.O_RDWR)
			b.ReportAllocs()
			p := make([]byte, 4096)
			for b.Loop() {
				vfs.Read(ctx, f, p, 0)
			}
		})
	})
	b.Run("actor64k", func(b *testing.B) {
		asActor(ctx, func(ctx context.Context, a *guard.Actor) {
			n, _ := g.FS().Root(ctx)
			f, _ := vfs.Open(ctx, n, unix.O_RDWR)
			b.ReportAllocs()
			p := make([]byte, 65536)
			for b.Loop() {
				vfs.Read(ctx, f, p, 0)
			}
		})
	})
}
