package remote

import (
	"context"
	"io/fs"

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
	return lane.ListenAnew(path, perm, full)
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
