package tmp

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Lend moves the bytes into a memory file and gives that, for good. What may be
// written must be seen here: EOPNOTSUPP with a limit on size, or where there may be
// seals.
func (f *file) Lend(_ context.Context, own bool, _ func()) (vfs.Loan, error) {
	if !own {
		return vfs.Loan{}, syscall.EOPNOTSUPP // too dear for a file that is used once
	}
	r := f.r
	r.io.Lock()
	defer r.io.Unlock()
	writes := f.access != unix.O_RDONLY
	if writes && (r.fs.limit > 0 || r.seals != unix.F_SEAL_SEAL) || f.noatime {
		return vfs.Loan{}, syscall.EOPNOTSUPP
	}
	if err := r.data.toObject(); err != nil {
		return vfs.Loan{}, err
	}
	fd, err := r.data.object.open(f.access)
	if err != nil {
		return vfs.Loan{}, err
	}
	if !r.data.lent {
		r.data.lent = writes
		r.noteHostTimes()
	}
	return vfs.LoanOf(fd), nil
}

// noteHostTimes takes the memory file's times for known. io is held.
func (r *regular) noteHostTimes() {
	if st, err := r.data.object.stat(); err == nil {
		r.mu.Lock()
		r.hostAtime, r.hostMtime = syscall.Timespec(st.Atim), syscall.Timespec(st.Mtim)
		r.mu.Unlock()
	}
}

// catchUp moves the times with what others have read and written in the memory
// file since it last looked. io is held.
func (r *regular) catchUp() {
	if !r.data.lent {
		return
	}
	st, err := r.data.object.stat()
	if err != nil {
		return
	}
	atime, mtime := syscall.Timespec(st.Atim), syscall.Timespec(st.Mtim)
	r.mu.Lock()
	defer r.mu.Unlock()
	if mtime != r.hostMtime && (after(mtime, r.mtime) || after(r.mtime, now())) {
		r.mtime, r.ctime = mtime, mtime
	}
	if atime != r.hostAtime && !(after(r.atime, r.mtime) && after(r.atime, r.ctime)) && after(atime, r.atime) {
		r.atime = atime
	}
	r.hostAtime, r.hostMtime = atime, mtime
}
