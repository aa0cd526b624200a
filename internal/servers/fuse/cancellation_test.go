package fuse

import (
	"testing"
	"time"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

// TestCancellation runs the suite over a daemon that passes everything on to the
// suite's server.
func TestCancellation(t *testing.T) {
	vfstest.RunCancellation(t, transport(1000, func(_ *testing.T, fs vfs.FS, _ time.Duration) vfs.FS { return fs }))
}

// TestCancellationServed has somebody else serve that daemon's files.
func TestCancellationServed(t *testing.T) {
	overLanes(t, func(t *testing.T, across lanes) {
		vfstest.RunCancellation(t, transport(300, across))
	})
}

// transport leads to a daemon, across what is before it.
func transport(races int, across lanes) vfstest.Transport {
	return vfstest.Transport{
		Reach: func(t *testing.T, server vfs.FS, grace time.Duration) vfs.FS {
			fs, _ := mount(t, server, Options{}, nil)
			fs.conn.grace = grace
			return across(t, fs, grace)
		},
		Leaves: true, Ioctls: true,
		// TestC12_Interrupt, TestC13_Kill and TestC16_DeadDaemon are what takes the
		// place of those that ask for more than the protocol says.
		Cannot: map[string]string{
			"WrongErrors":        "a daemon has no word for in doubt",
			"C14_OneRequestOnly": "a daemon has no word for a panic",
			"C13_KillAtOnce":     "an append is a GETATTR and a WRITE",
			"C15_LateReclaimed":  "a late lock of an owner who has it is settled without a call",
			"C16_TheDead":        "INTERRUPT does not say why",
			"C19_AllTheWayDown":  "INTERRUPT does not say why",
			"C20_EveryCallEnds":  "INTERRUPT does not say why",
		},
		Races: races,
	}
}
