//go:build !race && !cgo

package filetest

import "os"

// guestProgram is the test program itself.
func guestProgram() (string, error) { return os.Executable() }
