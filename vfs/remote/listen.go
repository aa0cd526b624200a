package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
)

// Listen makes a socket for [ServeListener] at path: whoever may write to it may
// connect. A socket that a server left which is gone is replaced. What cfg leaves
// out is as in [Config].
func Listen(path string, perm fs.FileMode, cfg lane.Config) (*lane.Listener, error) {
	full := Config(path)
	if cfg.Slots > 0 {
		full.Slots = cfg.Slots
	}
	if cfg.Arena > 0 {
		full.Arena = cfg.Arena
	}
	l, err := lane.Listen(path, perm, full)
	if errors.Is(err, syscall.EADDRINUSE) && stale(path) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remote: an old socket: %w", err)
		}
		l, err = lane.Listen(path, perm, full)
	}
	return l, err
}

// stale reports whether path is a socket at which nobody listens.
func stale(path string) bool {
	c, err := net.Dial("unixpacket", path)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// ListenAndServe answers for fs at a socket that only this user's processes can
// connect to, until ctx ends.
func ListenAndServe(ctx context.Context, path string, fs vfs.FS, o ServeOptions) error {
	l, err := Listen(path, 0o600, lane.Config{})
	if err != nil {
		return err
	}
	return ServeListener(ctx, l, fs, o)
}
