// Package inet serves networks made of host sockets: the host's own ([Host]), of which
// it can leave out destinations, and a private loopback ([Loopback]). Every socket of
// a guest is one of the host, so TCP, UDP and their options are the host kernel's; the
// package decides what a guest may ask of it, and what addresses mean.
//
// The host's descriptors are non-blocking and nothing here waits, so a guest that gives
// up a call has no request left at the host.
//
// It imports vfs, vfs/netinfo, hostwait, anon, abi and x/sys only.
//
// Lock order: outside.mu, dialed.mu, loopback.mu; all others are leaves.
package inet
