package fuse

import (
	"bytes"
	"context"
	"strings"
	"syscall"
)

// mostXattr bounds an extended attribute, and a list of them.
const mostXattr = 64 << 10

// xattrCall sends a request about extended attributes.
func (n *node) xattrCall(ctx context.Context, r *request) error {
	if err := n.fs.allowed(ctx); err != nil {
		return err
	}
	if n.fs.conn.lacks[r.op].Load() {
		return syscall.EOPNOTSUPP
	}
	return noSuch(n.fs.conn.call(ctx, r), syscall.EOPNOTSUPP)
}

// Getxattr returns a value.
func (n *node) Getxattr(ctx context.Context, name string) ([]byte, error) {
	r := newRequest(opGetxattr, n.id)
	r.in = r.enc().u32(mostXattr, 0).str(name).b
	r.max = mostXattr
	if err := n.xattrCall(ctx, r); err != nil {
		return nil, err
	}
	v := bytes.Clone(r.body)
	r.free()
	return v, nil
}

// Listxattr returns the names.
func (n *node) Listxattr(ctx context.Context) ([]string, error) {
	r := newRequest(opListxattr, n.id)
	r.in = r.enc().u32(mostXattr, 0).b
	r.max = mostXattr
	if err := n.xattrCall(ctx, r); err != nil {
		if err == syscall.EOPNOTSUPP {
			err = nil
		}
		return nil, err
	}
	text := string(r.body)
	r.free()
	if text == "" {
		return nil, nil
	}
	if text[len(text)-1] != 0 {
		return nil, n.fs.bad(opListxattr)
	}
	list := strings.Split(text[:len(text)-1], "\x00")
	for _, name := range list {
		if name == "" {
			return nil, n.fs.bad(opListxattr)
		}
	}
	return list, nil
}

// Setxattr sets a value.
func (n *node) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	r := newRequest(opSetxattr, n.id)
	e := r.enc().u32(uint32(len(value)), uint32(flags)).str(name)
	r.in, r.data = e.b, value
	err := n.xattrCall(ctx, r)
	n.stale()
	return err
}

// Removexattr removes one.
func (n *node) Removexattr(ctx context.Context, name string) error {
	r := newRequest(opRemovexattr, n.id)
	r.in = r.enc().str(name).b
	err := n.xattrCall(ctx, r)
	n.stale()
	return err
}
