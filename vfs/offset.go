package vfs

import "context"

// OffsetKeeper is a File whose offset is its server's and not POSIX's, because
// others share it (a host file that was given as standard output) or because it
// has rules of its own (/dev/null is always at 0). POSIX calls these for read,
// write (O_APPEND or not) and lseek; pread and pwrite go to Reader and Writer.
type OffsetKeeper interface {
	// ReadNext reads at the offset and moves it.
	ReadNext(ctx context.Context, p []byte) (int, error)
	// WriteNext writes at the offset, or at the end when the file is for
	// appending, and moves it.
	WriteNext(ctx context.Context, p []byte) (int, error)
	// Lseek is lseek(2) with all its whences; ESPIPE where there are no offsets.
	Lseek(ctx context.Context, off int64, whence int) (int64, error)
}
