package vfs

import "context"

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

// CallerOf returns who asks; false when nobody in particular does.
func CallerOf(ctx context.Context) (Caller, bool) {
	s, ok := ctx.Value(CallerKey{}).(CallerSource)
	if !ok {
		return Caller{}, false
	}
	return s.Caller(), true
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
