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
// Begin with [Pair] within a process, with [Listen] and [Dial] between two; the
// examples show each. Messages of more than a few fields are best made of Go structs
// by the command lanegen. docs/lane.md says which way of moving a payload is the
// fastest, docs/lane-protocol.md gives the bytes.
//
// The package imports the standard library and golang.org/x/sys only.
//
// # Trust
//
// The other end is taken to be hostile. Every index, length and offset in shared
// memory is copied first, checked second and used from the copy. What breaks
// the rules ends its own lane ([ErrProtocol]) and nothing else. What each end
// makes the other hold is bounded by the lane's [Config]: memory by Slots and Arena,
// descriptors by those of two messages per slot. Of objects, the kernel keeps a
// receiver from more than their access modes and seals allow ([Rights]); who holds
// the other end is its word, too ([Lane.Peer]).
//
// # Lock order
//
// Lane.mu is taken first: with it a lane is bound to its transport or passed on. Within
// the process localHalf.mu comes next, then reqCtx.mu. Over a ring: hubMu before
// hub.mu; caller.mu, caller.post, ring.recvMu and ring.wmu hold no other but hubMu and
// hub.mu (to ring, to ask for room); server.mu may hold these and reqCtx.mu. An
// eventCore's mu comes before watch's. Lane.endMu, Listener.mu, File.mu and Memory.mu
// are leaves. Functions given to AfterFunc run outside of reqCtx.mu, and no lock is
// held while a handler or a system call that can block runs.
package lane
