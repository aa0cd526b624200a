package hati

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// LaneServer mounts the server that listens at socket (hati serve, or any program
// with package remote) at path. The server may hang, lie or die: a call that was
// under way then fails with EIO, later ones with ENOTCONN, until a server that was
// started anew listens at socket (see [remote.Redial]).
func LaneServer(socket, path string) Mount {
	return Mount{Path: path, kind: "lane", source: socket, open: func(b *Box, _ *Mount) (vfs.FS, error) {
		ctx, cancel := context.WithTimeout(context.Background(), startGrace)
		defer cancel()
		c, err := remote.Redial(ctx, remote.DialerOf(socket))
		if err != nil {
			return nil, err
		}
		c.SetJob(b.terminals)
		b.servers = append(b.servers, c.Close)
		return c.FS(), nil
	}}
}

// parseLane reads the SOCKET:DST[:ro|rw] of lane:SOCKET:DST[:ro|rw].
func parseLane(s string) (Mount, error) {
	parts := strings.Split(s, ":")
	readOnly := false
	if len(parts) == 3 {
		if parts[2] != "ro" && parts[2] != "rw" {
			return Mount{}, fmt.Errorf("mount \"lane:%s\": mode %q is none of ro, rw", s, parts[2])
		}
		readOnly = parts[2] == "ro"
		parts = parts[:2]
	}
	if len(parts) != 2 || parts[0] == "" || !path.IsAbs(parts[1]) {
		return Mount{}, fmt.Errorf("mount \"lane:%s\": want lane:SOCKET:DST[:ro|rw], with an absolute DST", s)
	}
	socket, err := filepath.Abs(parts[0])
	if err != nil {
		return Mount{}, fmt.Errorf("mount \"lane:%s\": %w", s, err)
	}
	m := LaneServer(socket, path.Clean(parts[1]))
	m.ReadOnly = readOnly
	return m, nil
}
