// Package devnum hands out device numbers to file systems that lie on no
// device: programs tell files apart by st_dev and st_ino, so no two file
// systems of a box may have the same one.
//
// The package imports golang.org/x/sys only.
package devnum

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// first is far from the minor numbers that the host gives to its own file
// systems, which count from 1.
const first = 0x80000

var last atomic.Uint32

// Next returns a number, as in stat's st_dev, that no other call returns. It may
// be called concurrently.
func Next() uint64 { return unix.Mkdev(0, first+last.Add(1)) }
