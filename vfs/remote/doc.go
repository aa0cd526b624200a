// Package remote carries the contract of package vfs over a lane, so that a
// server runs in its own process and a client cannot tell, except by speed:
// [Serve] answers for a [vfs.FS] at one end, [New] makes a [vfs.FS] of the other.
//
// What the contract has crosses: names, open files, attributes, directories,
// locks, readiness, ioctls, terminals, who calls, and the host objects behind maps.
// What does not: [vfs.FileOf], which is refused, [vfs.Jumper] and [vfs.Stores].
//
// [ServeNetwork] and [NewNetwork] are the same for a [vfs.Network], in a protocol of
// their own. A stream socket of the host is lent: its bytes and readiness need not
// cross. What a caller who has left would have had (a connection, a datagram) is kept
// for the next.
//
// With [Redial] a server that is gone is followed by the next one.
//
// A file whose server lends its host file ([vfs.Lender]) is read, written and
// mapped without asking, until the server recalls it or the lane ends.
//
// The package imports vfs, lane, cancel, internal/servers/hostwait and anon, the standard
// library and golang.org/x/sys.
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
// All locks are leaves, but for these: a server's vfs.Queue is locked before watched.mu,
// and that before notes.mu (as is Terminals.mu, which is locked with nodeTable.mu
// held) and servedSocket.lending; a client's netSocket.mu before
// readiness.mu and its watcher's locks, and those before the Queue; knownNodes.mu before
// orphans.mu. No lock is held during a call.
package remote
