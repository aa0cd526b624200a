package tmp

import (
	"bytes"
	"context"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func TestContentsSurviveMapping(t *testing.T) {
	ctx := context.Background()
	fs := New(Options{})
	root, _ := fs.Root(ctx)
	n, err := vfs.Make(ctx, root, "f", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600})
	if err != nil {
		t.Fatal(err)
	}
	f, err := vfs.Open(ctx, n, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("hati"), 5000)
	if n, err := vfs.Write(ctx, f, want, 10); n != len(want) || err != nil {
		t.Fatal(n, err)
	}
	m, err := f.(vfs.Mapper).Map(ctx, unix.PROT_READ, true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	got := make([]byte, len(want))
	if _, err := unix.Pread(m.FD, got, 10); err != nil || !bytes.Equal(got, want) {
		t.Fatal("memory file differs", err)
	}
	if _, err := unix.Pwrite(m.FD, []byte("x"), 0); err != unix.EBADF {
		t.Fatal("a reader's object can be written", err)
	}
	clear(got)
	if n, err := vfs.Read(ctx, f, got, 10); n != len(want) || err != nil || !bytes.Equal(got, want) {
		t.Fatal("contents differ", n, err)
	}
}
