// Package machine hosts guest programs: address spaces (host processes),
// threads (host threads), their traps, and copying in and out of their memory.
// It knows nothing of POSIX, as hardware does not.
//
// A guest thread runs natively until it makes a system call, faults, or is
// kicked. Then the stub (stub_amd64.s), which lies at a fixed address in every
// guest process, waits in the signal handler for what the server, that is the
// caller of [Thread.Resume], decides. Both meet in the thread's slot, a piece of
// shared memory that also is the signal stack, so the server reads and changes
// the interrupted registers in place.
//
// A guest can write everything in its own address space, the stub and the slots
// included. Nothing here trusts what it reads there: each word is read once and
// the copy is checked; the host kernel's filter (filter.go) bounds what a guest
// process can do by itself.
//
// The package imports internal/abi and golang.org/x/sys only.
//
// Lock order: Machine.mu, then Space.mu. Space.channel is taken before both and
// is held over a round trip to the stub.
package machine
