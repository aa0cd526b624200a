// Package posix is the POSIX server: processes, threads, signals, descriptors,
// paths, waiting and restart, with Linux's semantics. Files, devices and
// sockets belong to servers behind package vfs; address spaces and threads to
// package machine below. The manual pages of section 2 are its specification.
//
// Each guest thread is a [Task] with a goroutine of its own, which runs the
// thread, answers its system calls and waits when they wait. All waiting goes
// through block.go. The table in table.go says of each call whether it can wait,
// what may end the wait, and how the call is restarted.
//
// # Lock order
//
// Kernel.mu (processes, groups, sessions, signals: what Linux has under
// tasklist_lock and siglock) is taken last but for locks that are leaves, such
// as vfs.Queue's. mountTable.mu is taken before dentry.mu; these, FDTable.mu,
// Description.mu and lockTable.mu are leaves otherwise. No server is called with
// any of them held. Description.offset, which orders the users of one offset, is
// no such lock: its holder may wait for a server, and its waiters can be killed.
package posix
