package vfs

import (
	"context"
	"syscall"
)

// Caller is who asks: the identity with which the calling thread uses files, and
// its process.
type Caller struct {
	UID, GID uint32
	PID      int32
}

// CallerKey is the key under which the context of a system call has its
// [CallerSource]; FinalKey that of its [FinalSource].
type (
	CallerKey struct{}
	FinalKey  struct{}
)

// CallerSource knows the caller.
type CallerSource interface{ Caller() Caller }

// FileSource is a CallerSource that knows the caller's descriptors. The File can
// be used until done is called; EBADF when there is none.
type FileSource interface {
	FileOf(fd int) (f File, done func(), err error)
}

// FileOf returns what a descriptor of the caller's leads to.
func FileOf(ctx context.Context, fd int) (f File, done func(), err error) {
	s, ok := ctx.Value(CallerKey{}).(FileSource)
	if !ok {
		return nil, nil, syscall.EBADF
	}
	return s.FileOf(fd)
}

// CallerOf returns who asks; false when nobody in particular does.
func CallerOf(ctx context.Context) (Caller, bool) {
	s, ok := ctx.Value(CallerKey{}).(CallerSource)
	if !ok {
		return Caller{}, false
	}
	return s.Caller(), true
}

// HostPIDSource is a CallerSource that knows by what number the host has the
// caller's process.
type HostPIDSource interface{ HostPID() int32 }

// HostPID returns the host's number of the caller's process; 0 when there is none.
func HostPID(ctx context.Context) int32 {
	if s, ok := ctx.Value(CallerKey{}).(HostPIDSource); ok {
		return s.HostPID()
	}
	return 0
}

// FinalSource is a context that may end twice: by a signal first, for good
// later.
type FinalSource interface{ Final() <-chan struct{} }

// Final returns a channel that closes when the caller ends for good. A server
// that waits for an interrupt to be acknowledged, after ctx is done, waits for
// it, too: a kill has no patience. It is nil, which never closes, when ctx knows
// of no such end.
func Final(ctx context.Context) <-chan struct{} {
	if s, ok := ctx.Value(FinalKey{}).(FinalSource); ok {
		return s.Final()
	}
	return nil
}
