//go:build !amd64

package confine

import "fmt"

// Calls needs a list of host calls, which there is for amd64 only.
func Calls() error {
	return fmt.Errorf("%w: no list of host calls for this processor", ErrUnsupported)
}

// NetworkCalls needs a list, too.
func NetworkCalls() error { return Calls() }

// NoSockets likewise.
func NoSockets(bool) error { return Calls() }
