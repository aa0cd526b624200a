package cancel

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// FileLock is a lock that is held on a lock file.
type FileLock struct{ f *File }

// Lock waits for the exclusive lock on the file called name, which it creates if it does not exist. It excludes
// every other Lock and RLock of that name, in this process and in others that use flock(2). If ctx ends first, the
// error wraps its cause and the lock is not held.
func Lock(ctx context.Context, name string) (*FileLock, error) {
	return lock(ctx, name, unix.LOCK_EX)
}

// RLock waits for a shared lock: like Lock, but it excludes only Lock.
func RLock(ctx context.Context, name string) (*FileLock, error) {
	return lock(ctx, name, unix.LOCK_SH)
}

// TryLock takes the exclusive lock if it can be had at once; if not, the error wraps unix.EWOULDBLOCK.
func TryLock(name string) (*FileLock, error) {
	return lock(context.Background(), name, unix.LOCK_EX|unix.LOCK_NB)
}

func lock(ctx context.Context, name string, how int) (*FileLock, error) {
	f, err := OpenFile(ctx, name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := f.Flock(ctx, how); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &FileLock{f}, nil
}

// File returns the locked file, to read or write what the lock protects.
func (l *FileLock) File() *File { return l.f }

// Unlock gives the lock up. The lock file stays: to remove it would let two others hold a lock of the same name.
func (l *FileLock) Unlock() error {
	// Not only by closing: a child that inherited the descriptor would keep the lock.
	if err := l.f.Flock(context.Background(), unix.LOCK_UN); err != nil {
		return err
	}
	return l.f.Close()
}
