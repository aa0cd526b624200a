package vfstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// change is an operation, and how to see whether it had its effect.
type change struct {
	name string
	do   func(ctx context.Context) error
	did  func() bool
}

// changes are one of each kind; i makes their names new.
func (e *env) changes(d vfs.Node, i int) []change {
	at := func(s string) string { return fmt.Sprint(s, i) }
	has := func(name string) bool {
		_, err := vfs.Lookup(e.ctx, d, name)
		return err == nil
	}
	n := e.file(d, at("file"), "text")
	e.dir(d, at("dir"))
	e.file(d, at("old"), "")
	e.file(d, at("gone"), "")
	w := under(e.open(n, unix.O_RDWR))
	all := []change{
		{"make", func(ctx context.Context) error {
			_, err := vfs.Make(ctx, d, at("made"), e.options(unix.S_IFREG|0o600))
			return err
		}, func() bool { return has(at("made")) }},
		{"mkdir", func(ctx context.Context) error {
			_, err := vfs.Make(ctx, d, at("madedir"), e.options(unix.S_IFDIR|0o700))
			return err
		}, func() bool { return has(at("madedir")) }},
		{"unlink", func(ctx context.Context) error { return vfs.Remove(ctx, d, at("gone"), false) },
			func() bool { return !has(at("gone")) }},
		{"rmdir", func(ctx context.Context) error { return vfs.Remove(ctx, d, at("dir"), true) },
			func() bool { return !has(at("dir")) }},
		{"rename", func(ctx context.Context) error { return vfs.Rename(ctx, d, at("old"), d, at("new"), 0) },
			func() bool { return has(at("new")) && !has(at("old")) }},
		{"write", func(ctx context.Context) error {
			k, err := vfs.Write(ctx, w, []byte("WXYZ"), 0)
			if err == nil && k == 0 {
				e.Error("a write of nothing")
			}
			return err
		}, func() bool { return e.contents(n) == "WXYZ" }},
		{"chmod", func(ctx context.Context) error {
			return vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o600})
		}, func() bool { return e.attr(n).Mode&0o777 == 0o600 }},
	}
	if !e.NoLink {
		all = append(all, change{"link", func(ctx context.Context) error { return vfs.Link(ctx, d, n, at("linked")) },
			func() bool { return has(at("linked")) }})
	}
	if a, ok := w.(vfs.Appender); ok {
		m := e.file(d, at("appended"), "")
		f := under(e.open(m, unix.O_RDWR|unix.O_APPEND)).(vfs.Appender)
		_ = a
		all = append(all, change{"append", func(ctx context.Context) error {
			_, _, err := f.Append(ctx, []byte("x"))
			return err
		}, func() bool { return e.attr(m).Size == 1 }})
	}
	return all
}

// testContextEnded: with a ctx that has ended, an operation returns the cause
// and has no effect, or has it and says so.
func testContextEnded(e *env) {
	for i, cause := range []error{vfs.ErrInterrupted, vfs.ErrKilled, vfs.ErrCallerDied, vfs.ErrShutdown, vfs.ErrDeadline} {
		d := e.dir(e.root, fmt.Sprint(i))
		ctx, cancel := context.WithCancelCause(e.ctx)
		cancel(cause)
		for _, c := range e.changes(d, 0) {
			err := c.do(ctx)
			if err != nil && !errors.Is(err, cause) {
				e.Errorf("%s: %v, want the cause %v", c.name, err, cause)
			}
			if did := c.did(); did != (err == nil) {
				e.Errorf("%s: %v, and it had its effect: %v", c.name, err, did)
			}
		}
		f := e.open(e.file(d, "read", "abc"), unix.O_RDONLY)
		k, err := vfs.Read(ctx, under(f), make([]byte, 3), 0)
		if err == nil && k != 3 || err != nil && !errors.Is(err, cause) {
			e.Errorf("read: %d, %v", k, err)
		}
		if _, err := vfs.Lookup(ctx, d, "read"); err != nil && !errors.Is(err, cause) {
			e.Errorf("lookup: %v", err)
		}
		n, err := vfs.Open(ctx, e.lookup(d, "read"), unix.O_RDONLY)
		if err == nil {
			n.Close()
		} else if !errors.Is(err, cause) {
			e.Errorf("open: %v", err)
		}
	}
}

// testContextRace ends ctxs while operations are under way.
func testContextRace(e *env) {
	rounds := 60
	if testingShort() {
		rounds = 20
	}
	d := e.dir(e.root, "d")
	for i := range rounds {
		for j, c := range e.changes(d, i) {
			ctx, cancel := context.WithCancelCause(e.ctx)
			var wg sync.WaitGroup
			r := rand.New(rand.NewPCG(uint64(i), uint64(j)))
			spins := r.IntN(2000)
			wg.Go(func() {
				for range spins {
					_ = ctx.Err()
				}
				cancel(vfs.ErrInterrupted)
			})
			err := c.do(ctx)
			wg.Wait()
			if err != nil && !vfs.Interrupted(err) {
				e.Errorf("%s: %v", c.name, err)
			}
			if did := c.did(); did != (err == nil) {
				e.Fatalf("%s: %v, and it had its effect: %v", c.name, err, did)
			}
		}
	}
}
