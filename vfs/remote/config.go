package remote

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// ErrGone is the error of every operation on a file system whose server is gone,
// except of those that were under way: they are in doubt.
var ErrGone = fmt.Errorf("remote: the server is gone: %w", syscall.ENOTCONN)

// Config returns a lane's configuration for file systems. name is shown in
// listings of pending operations.
func Config(name string) lane.Config {
	c := config(name)
	c.Protocol, c.Version, c.Oldest = wire.ProtocolName, wire.ProtocolVersion, wire.ProtocolOldest
	return c
}

// NetworkConfig is Config for networks.
func NetworkConfig(name string) lane.Config {
	c := config(name)
	c.Protocol, c.Version, c.Oldest = netwire.ProtocolName, netwire.ProtocolVersion, netwire.ProtocolOldest
	return c
}

func config(name string) lane.Config {
	return lane.Config{
		Slots: 1024, // locks that wait hold one each
		Causes: lane.Causes{
			Interrupted: vfs.ErrInterrupted, Killed: vfs.ErrKilled, Deadline: vfs.ErrDeadline,
			CallerDied: vfs.ErrCallerDied, Shutdown: vfs.ErrShutdown,
		},
		Final: vfs.Final, Impatient: true, Trailer: trailer, Name: name,
	}
}

// doubt is an outcome in doubt. It does not unwrap to the reason, which may look
// like another outcome.
type doubt struct{ why string }

func (d *doubt) Error() string { return vfs.ErrInDoubt.Error() + ": " + d.why }
func (d *doubt) Unwrap() error { return vfs.ErrInDoubt }

// outcome turns a call's error into the contract's.
func (c *session) outcome(err error) error { return outcome(err, c.broken) }

// outcome has a server that broke the lane's rules broken.
func outcome(err error, broken func(format string, args ...any) error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(syscall.Errno); ok {
		return goodErrno(e)
	}
	switch {
	case errors.Is(err, lane.ErrInDoubt):
		if errors.Is(err, lane.ErrProtocol) {
			broken("%v", err)
		}
		return &doubt{err.Error()}
	case errors.Is(err, lane.ErrClosed), errors.Is(err, lane.ErrPeerDied), errors.Is(err, lane.ErrProtocol):
		return ErrGone
	}
	return err
}
