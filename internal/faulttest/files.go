package faulttest

import (
	"context"
	"os"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Files serves a directory of the host's as registers: it makes what is looked
// for, and locks with the host's locks. It is for servers in processes of their own,
// which their files outlive and who can be several.
func Files(fs vfs.FS) vfs.FS { return &files{FS: fs, locked: map[vfs.Node]*lockedFile{}} }

type files struct {
	vfs.FS
	mu     sync.Mutex
	locked map[vfs.Node]*lockedFile
}

// lockedFile is a file that is open for as long as somebody locks it.
type lockedFile struct {
	file   vfs.File
	owners map[uint64]struct{}
}

func (f *files) Root(ctx context.Context) (vfs.Node, error) {
	n, err := f.FS.Root(ctx)
	if err != nil {
		return nil, err
	}
	return making{n.(vfs.Dir), f}, nil
}

type making struct {
	vfs.Dir
	of *files
}

func (d making) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	for {
		n, err := d.Dir.Lookup(ctx, name)
		if err == syscall.ENOENT {
			n, err = vfs.Make(ctx, d.Dir, name, vfs.MakeOptions{Mode: unix.S_IFREG | 0o600, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())})
			if err == syscall.EEXIST {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		return lockable{n, d.of}, nil
	}
}

// lockable is a file with the host's locks.
type lockable struct {
	vfs.Node
	of *files
}

func (n lockable) Open(ctx context.Context, flags int) (vfs.File, error) {
	return vfs.Open(ctx, n.Node, flags)
}

func (n lockable) GetLock(context.Context, vfs.Lock) (vfs.Lock, error) {
	return vfs.Lock{Type: unix.F_UNLCK}, nil
}

// SetLock never waits.
func (n lockable) SetLock(ctx context.Context, l vfs.Lock, _ bool) error {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	f := n.of.locked[n.Node]
	if f == nil {
		open, err := vfs.Open(ctx, n.Node, unix.O_RDWR)
		if err != nil {
			return err
		}
		f = &lockedFile{open, map[uint64]struct{}{}}
		n.of.locked[n.Node] = f
	}
	err := syscall.ENOLCK
	if s, ok := f.file.(vfs.LockSharer); ok && s.SharedLocks() != nil {
		if e := s.SharedLocks().SetLock(ctx, l, false); e == nil {
			err = 0
		} else if no, ok := e.(syscall.Errno); ok {
			err = no
		}
	}
	switch {
	case err == 0 && l.Type != unix.F_UNLCK:
		f.owners[l.Owner] = struct{}{}
	case err == 0:
		delete(f.owners, l.Owner)
	}
	if len(f.owners) == 0 {
		f.file.Close()
		delete(n.of.locked, n.Node)
	}
	if err != 0 {
		return err
	}
	return nil
}
