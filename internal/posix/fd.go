package posix

import "github.com/hati-os/hati/vfs"

// Description is an open file description.
type Description struct {
	file vfs.File
	path Path
}

// FDTable is what CLONE_FILES shares.
type FDTable struct{}

// get returns the description behind fd, with a reference, or EBADF.
func (t *FDTable) get(fd int) (*Description, error) { return nil, errAgain }

// release gives a reference back; the last one closes the file.
func (d *Description) release() {}

// fork returns a copy for a child that does not share it.
func (t *FDTable) fork() *FDTable { return t }

// share returns t itself with one more user; drop takes one away and with the
// last one closes everything.
func (t *FDTable) share() *FDTable { return t }
func (t *FDTable) drop()           {}

// unshareForExec returns the table that a program starts with: no other user,
// no descriptor that is close-on-exec.
func (t *FDTable) unshareForExec() *FDTable { return t }

var descriptorCalls, ioCalls, pollCalls, lockCalls, socketCalls, objectCalls calls
