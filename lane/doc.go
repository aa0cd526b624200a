// Package lane is a cancellable exchange between a client and a server that may
// hang, lie or die: in one process, or in two over shared memory.
//
// A [Lane] has two ends. Each end can ask ([Lane.Call]), tell ([Lane.Note]) and
// answer ([Lane.Handle], [Lane.Serve], [Lane.Recv]). Messages keep their
// boundaries and their order and carry bytes and objects: files, other lanes,
// [Event] and [Memory] objects.
//
// A call ends exactly once, in one of four ways ([Outcome]): done, interrupted
// (a restartable cause, nothing happened), cancelled (a final cause, nothing
// happened) or in doubt (the server died, or was abandoned, between start and
// reply). A cancel is a state of the request, not a second message: see slot.go
// for the states and the proof of what follows from them.
//
// The package imports the standard library and golang.org/x/sys only.
//
// # Trust
//
// The other end is taken to be hostile. Every index, length and offset in shared
// memory is copied first, checked second and used from the copy. What breaks
// the rules ends its own lane ([ErrProtocol]) and nothing else. What each end
// makes the other hold is bounded by the lane's [Config].
//
// # Lock order
//
// hub.mu, pair.mu and endLocal.mu are taken alone or first. Within a ring:
// caller.mu (slots, arena, waiters), caller.post, server.mu, ring.recvMu; none of
// them is held while another is taken, except recvMu inside none and caller.mu
// inside none: all are leaves. reqCtx.mu is a leaf; functions given to AfterFunc
// run outside of it. No lock is held while a handler, a Wake function or a
// system call that can block runs.
package lane
