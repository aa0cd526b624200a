//go:build race || cgo

package filetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// guestProgram builds the guests without the race detector, which needs the
// addresses that boxes have for themselves, and without cgo, which needs libraries
// that not every box here has.
var guestProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "filetest")
	if err != nil {
		return "", err
	}
	removeAtEnd = dir
	exe := filepath.Join(dir, "guest")
	cmd := exec.Command("go", "test", "-c", "-o", exe, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	os.Stderr.Write(out)
	return exe, err
})
