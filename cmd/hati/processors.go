package main

import (
	"os"
	"runtime"
)

// processors gives Go's scheduler more processors than there are. A goroutine
// that waits for a guest thread waits in the host kernel and keeps its processor
// until the scheduler takes it away, some ten milliseconds later: with as few as
// the host has, two busy guest threads would hold up everybody else.
func processors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(8, 4*runtime.GOMAXPROCS(0)))
	}
}
