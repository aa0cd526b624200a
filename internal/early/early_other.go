//go:build !amd64

package early

func getrlimit(int, *Limit) int { return -1 }
