package vfs

import (
	"context"
	"sync"
	"syscall"
)

// Lender is a File with an object of the host behind it (a file, or for a stream a
// pipe or socket) that its user may read and write directly: what reaches the
// server from another process then need not cross.
type Lender interface {
	// Lend returns the object, with no more access than the file was opened with.
	// With own it is to be an open file description that nobody else uses, and that
	// the processes of guests may have: they then use its offset and flags, and read
	// and write without asking anybody. It is asked for so once the file is used often.
	// EOPNOTSUPP when there is no such object, EAGAIN when there is none yet.
	//
	// The server may call recall, once, from any goroutine and with any lock held, to
	// have the object back. From then on nothing new is begun with it; soon
	// afterwards, when nothing uses it any more, Return is called, and the user asks
	// the server again. The host can take no descriptor back from a process: one that
	// is hostile keeps it till it ends.
	Lend(ctx context.Context, own bool, recall func()) (Loan, error)
}

// Loan is an object that was lent. A Read or Write at off is a pread or pwrite at
// Offset+off; what is lent as the user's own, and streams, begin at 0. The
// descriptor belongs to the server; Return is called once, before the File is
// closed or after recall.
type Loan struct {
	FD     int
	Offset int64
	Return func()
}

// LoanOf is a loan of a descriptor that was opened for it, and is closed with it.
func LoanOf(fd int) Loan {
	return Loan{FD: fd, Return: sync.OnceFunc(func() { syscall.Close(fd) })}
}
