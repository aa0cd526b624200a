// Package early knows what this process was started with, before the Go runtime
// changes it: package syscall raises the limit on open files when it is
// initialised.
//
// The package imports nothing. So it is initialised before syscall is: packages
// are in the order of their paths once all that they import is (Go's
// specification, "Program initialization").
package early

// Limit is a resource limit, as getrlimit(2) has it.
type Limit struct{ Cur, Max uint64 }

// OpenFiles is the limit on open files.
var OpenFiles = openFiles()

const rlimitNofile = 7

func openFiles() Limit {
	var l Limit
	if getrlimit(rlimitNofile, &l) != 0 {
		return Limit{1024, 4096}
	}
	return l
}
