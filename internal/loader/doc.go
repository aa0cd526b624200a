// Package loader reads programs: ELF64 executables for x86-64 and scripts. It
// says what is to be mapped where, and what the new stack holds, as Linux's
// execve(2) would; others do the mapping.
//
// Files are outside bytes: whatever they hold, nothing here panics, loops for
// long, reads or allocates more than Linux's bounds allow (64 KiB of program
// headers, a page of interpreter path), and an accepted Plan stays within
// MinAddr and MaxAddr, or where the caller put it below TopAddr, and maps no page twice. Where Linux notices a fault only
// after the old program is gone, and kills the process, Parse fails in time.
//
// The package imports internal/abi only. It has no state and no locks; images
// and plans are read-only once made.
package loader

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// The addresses that a program may take. Those that a file chooses itself lie
// between mmap_min_addr and where hati's own part of the address space begins.
// A position independent program lies where the caller puts it, which is up to
// the end of all (TASK_SIZE).
const (
	MinAddr = 0x10000
	MaxAddr = 0x7e00_0000_0000
	TopAddr = 1<<47 - abi.PageSize
)

const pageMask = abi.PageSize - 1

func pageDown(a uint64) uint64 { return a &^ pageMask }
func pageUp(a uint64) uint64   { return (a + pageMask) &^ pageMask }

// invalid is an error that unwraps to e and says why.
func invalid(e syscall.Errno, format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, e)...)
}

// readFull fills p from off; short says that the file ends before.
func readFull(r io.ReaderAt, p []byte, off int64) (short bool, err error) {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return false, nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return true, nil
	}
	return false, err
}
