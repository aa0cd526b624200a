// Package remote carries the contract of package vfs over a lane, so that a
// server runs in its own process and a client cannot tell, except by speed:
// [Serve] answers for a [vfs.FS] at one end, [New] makes a [vfs.FS] of the other.
//
// What the contract has crosses: names, open files, attributes, directories,
// locks, readiness, ioctls, who calls, and the host objects behind maps. What does
// not: [vfs.Terminal] (job control is the POSIX server's own), [vfs.Poller],
// [vfs.FileOf] and [vfs.Jumper].
//
// A file whose server lends its host file ([vfs.Lender]) is read, written and
// mapped without asking, until the server recalls it or the lane ends.
//
// The package imports vfs, lane, cancel, the standard library and
// golang.org/x/sys.
//
// # Outcomes
//
// A request ends as the contract of cancellation has it: done, interrupted or
// cancelled with nothing having happened, or in doubt ([vfs.ErrInDoubt]). When
// the server dies, requests that it had started are in doubt, and all others
// fail with [ErrGone] (ENOTCONN), as with a FUSE daemon. What a server makes for
// a request that was abandoned, an open file or a lock, it takes back itself.
// When the client dies, its requests are cancelled, its files closed and its
// locks released.
//
// # Trust
//
// Neither end trusts the other. Identities are numbers that are never used twice
// on a lane; one that was never given out, a reply that does not fit its request
// or a name that is none ends the lane, and nothing else. A client can do to the
// files whatever the server's own process may: permissions are checked by the
// POSIX server, so a lane to a server is as good as the files themselves.
//
// # Lock order
//
// All locks are leaves, with two exceptions: a server's vfs.Queue is locked before
// watched.mu, and that before notifier.mu; a client's pollFile.mu before its
// Queue. No lock is held during a call.
package remote
