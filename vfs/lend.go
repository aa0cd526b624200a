package vfs

import "context"

// Lender is a File with a host file behind it that its user may read and write
// directly: what reaches the server from another process then need not cross.
type Lender interface {
	// Lend returns the host file, with no more access than the file was opened
	// with. The server may call recall, once, from any goroutine and with any lock
	// held, to have it back: soon afterwards, when nothing uses it any more,
	// Return is called, and the user asks the server again.
	Lend(ctx context.Context, recall func()) (Loan, error)
}

// Loan is a host file that was lent. A Read or Write at off is a pread or pwrite
// at Offset+off. The descriptor belongs to the server; Return is called once,
// before the File is closed or after recall.
type Loan struct {
	FD     int
	Offset int64
	Return func()
}
