package test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	api "github.com/hati-os/hati"
	"github.com/hati-os/hati/vfs"
)

// TestC17_CallsThatWaitForServers: each call that may wait for a file's server
// is begun again or ends with EINTR, as the handler's flags say, with the
// program counter where Linux has it.
func TestC17_CallsThatWaitForServers(t *testing.T) {
	t.Parallel()
	program := cancelProgramOf(t, "static", "slow")
	calls := strings.Fields(native(t, directory(t), "", program, "list").out)
	box, err := api.New(api.Config{User: &api.User{}, Mounts: []api.Mount{
		api.HostDir(filepath.Dir(program), "/slowly", api.ReadOnly),
		api.Server(&slowFS{}, "/slow"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := box.CommandContext(ctx, "/slowly/slow")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var want strings.Builder
	for _, call := range calls {
		fmt.Fprintf(&want, "%s: counter +0, EINTR\n%s, SA_RESTART: counter -2, number\n", call, call)
	}
	a, b := strings.Split(want.String(), "\n"), strings.Split(out.String(), "\n")
	for i := range max(len(a), len(b)) {
		if x, y := line(a, i), line(b, i); x != y {
			t.Errorf("want %q, got %q", x, y)
		}
	}
}

// slowFS answers the first call after a look at the name "arm" only when its
// caller is interrupted.
type slowFS struct{ armed atomic.Bool }

func (s *slowFS) op(ctx context.Context) error {
	if !s.armed.CompareAndSwap(true, false) {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// slowNode is a file of one of three kinds.
type slowNode struct {
	s    *slowFS
	mode uint32
}

type slowDir struct{ slowNode }

type slowLink struct{ slowNode }

type slowOpenDir struct{ slowFile }

type slowFile struct {
	s    *slowFS
	node vfs.Node
}

func (s *slowFS) Root(ctx context.Context) (vfs.Node, error) {
	return slowDir{slowNode{s, syscall.S_IFDIR | 0o777}}, nil
}

func (s *slowFS) Statfs(ctx context.Context) (vfs.Statfs, error) { return vfs.Statfs{}, s.op(ctx) }

func (n slowNode) Stat(ctx context.Context) (vfs.Attr, error) {
	return vfs.Attr{Mode: n.mode, Nlink: 1, Ino: uint64(n.mode)}, n.s.op(ctx)
}

func (n slowDir) Access(ctx context.Context, mask uint32) error { return n.s.op(ctx) }

func (n slowDir) Open(ctx context.Context, flags int) (vfs.File, error) {
	return slowOpenDir{slowFile{n.s, n}}, n.s.op(ctx)
}

func (n slowDir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if name == "arm" {
		n.s.armed.Store(true)
		return nil, syscall.ENOENT
	}
	if err := n.s.op(ctx); err != nil {
		return nil, err
	}
	switch name {
	case "file":
		return slowNode{n.s, syscall.S_IFREG | 0o777}, nil
	case "dir":
		return slowDir{slowNode{n.s, syscall.S_IFDIR | 0o755}}, nil
	case "link":
		return slowLink{slowNode{n.s, syscall.S_IFLNK | 0o777}}, nil
	}
	return nil, syscall.ENOENT
}

func (n slowLink) Readlink(ctx context.Context) (string, error) { return "file", n.s.op(ctx) }

func (n slowNode) Open(ctx context.Context, flags int) (vfs.File, error) {
	return slowFile{n.s, n}, n.s.op(ctx)
}

func (n slowNode) SetAttr(ctx context.Context, a vfs.SetAttr) error { return n.s.op(ctx) }

func (n slowNode) Getxattr(ctx context.Context, name string) ([]byte, error) { return nil, n.s.op(ctx) }

func (n slowNode) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	return n.s.op(ctx)
}

func (n slowNode) Listxattr(ctx context.Context) ([]string, error) { return nil, n.s.op(ctx) }

func (n slowNode) Removexattr(ctx context.Context, name string) error { return n.s.op(ctx) }

func (f slowFile) Node() vfs.Node { return f.node }

func (f slowFile) Close() error { return nil }

func (f slowFile) Read(ctx context.Context, p []byte, off int64) (int, error) {
	return 0, f.s.op(ctx)
}

func (f slowFile) Write(ctx context.Context, p []byte, off int64) (int, error) {
	if err := f.s.op(ctx); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f slowOpenDir) ReadDir(ctx context.Context, cookie uint64, max int) ([]vfs.Dirent, error) {
	return nil, f.s.op(ctx)
}

func (f slowFile) Sync(ctx context.Context, dataOnly bool) error { return f.s.op(ctx) }

func (f slowFile) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	return f.s.op(ctx)
}

func (f slowFile) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	return 0, f.s.op(ctx)
}
