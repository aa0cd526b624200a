//go:build race

package filetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// guestProgram builds the guests without the race detector, which needs the
// addresses that boxes have for themselves.
var guestProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "filetest")
	if err != nil {
		return "", err
	}
	removeAtEnd = dir
	exe := filepath.Join(dir, "guest")
	out, err := exec.Command("go", "test", "-c", "-o", exe, ".").CombinedOutput()
	os.Stderr.Write(out)
	return exe, err
})
