package tmp_test

import (
	"bytes"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// An allocation that makes a file longer takes nothing away of what others, who were
// lent it, write meanwhile.
func TestAllocateBesideWrites(t *testing.T) {
	f := tmp.New(tmp.Options{}).NewMemfd(vfs.MakeOptions{Mode: 0o600}, false)
	defer f.Close()
	l, err := f.(vfs.Lender).Lend(ctx, true, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Return()
	const n, pieces = 64, 20000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range pieces {
			unix.Write(l.FD, bytes.Repeat([]byte("x"), n))
		}
	}()
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
		}
		a, err := f.Node().Stat(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.(vfs.Allocator).Allocate(ctx, 0, a.Size, 1); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, n*pieces)
	if _, err := vfs.Read(ctx, f, b, 0); err != nil {
		t.Fatal(err)
	}
	if lost := bytes.Count(b, []byte{0}); lost > 0 {
		t.Errorf("%d bytes of %d lost", lost, len(b))
	}
}
