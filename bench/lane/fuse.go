package main

import (
	"context"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// sumRoot is a file system with one file: what is written to it is read, every
// byte, and forgotten.
type sumRoot struct{ fs.Inode }

type sumFile struct{ fs.Inode }

func (r *sumRoot) OnAdd(ctx context.Context) {
	r.AddChild("sum", r.NewPersistentInode(ctx, &sumFile{}, fs.StableAttr{Mode: syscall.S_IFREG}), false)
}

func (f *sumFile) Getattr(ctx context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = 0o600
	return 0
}

func (f *sumFile) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

var summed uint64

func (f *sumFile) Write(ctx context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	summed = sum(data)
	return uint32(len(data)), 0
}

var fuseServer *fuse.Server

func serveFUSE(path string) error {
	dir := path + ".d"
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	s, err := fs.Mount(dir, &sumRoot{}, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, MaxWrite: 1 << 20}})
	if err != nil {
		return err
	}
	fuseServer = s
	return nil
}

func stopFUSE() {
	if fuseServer != nil {
		fuseServer.Unmount()
	}
}

func viaFUSE(path string, n int) (func() error, func(), error) {
	f, err := os.OpenFile(path+".d/sum", os.O_WRONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	payload := make([]byte, n)
	return func() error {
		_, err := f.WriteAt(payload, 0)
		return err
	}, func() { f.Close() }, nil
}
