//go:build amd64 || arm64

package lane

// pause tells the processor n times that this is a spinning loop. n is not 0.
//
//go:noescape
func pause(n uint32)
