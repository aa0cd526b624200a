package early

// getrlimit is the system call.
//
//go:noescape
func getrlimit(resource int, l *Limit) int
