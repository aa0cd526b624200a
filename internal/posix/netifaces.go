package posix

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// What the network says that it is made of; nothing, when it does not say.

// Describe implements vfs.NetDescriber for any network: one that does not say what it is
// made of, here or at the other end of a lane, has no interfaces.
func (k *Kernel) Describe(ctx context.Context, q vfs.NetQuery) ([]byte, error) {
	err := error(syscall.EOPNOTSUPP)
	var b []byte
	if d, ok := k.config.Network.(vfs.NetDescriber); ok {
		b, err = d.Describe(ctx, q)
	}
	if errnoOf(err) != syscall.EOPNOTSUPP {
		return b, err
	}
	switch {
	case q.To != nil:
		return nil, syscall.ENETUNREACH
	case q.Type == unix.RTM_GETLINK, q.Type == unix.RTM_GETADDR, q.Type == unix.RTM_GETROUTE, q.Type == unix.RTM_GETNEIGH:
		return nil, nil
	}
	return nil, syscall.EOPNOTSUPP
}

// netAll are all things of a kind that the network has.
func netAll[T any](ctx context.Context, k *Kernel, typ uint16, parse func([]byte) (T, bool)) ([]T, error) {
	b, err := k.Describe(ctx, vfs.NetQuery{Type: typ})
	if err != nil {
		return nil, err
	}
	var all []T
	for m := range netinfo.Messages(b) {
		if v, ok := parse(m.Body); ok {
			all = append(all, v)
		}
	}
	return all, nil
}

func (k *Kernel) links(ctx context.Context) ([]netinfo.Link, error) {
	return netAll(ctx, k, unix.RTM_GETLINK, netinfo.ParseLink)
}

func (k *Kernel) addrs(ctx context.Context) ([]netinfo.Addr, error) {
	return netAll(ctx, k, unix.RTM_GETADDR, netinfo.ParseAddr)
}

func (k *Kernel) routes(ctx context.Context) ([]netinfo.Route, error) {
	return netAll(ctx, k, unix.RTM_GETROUTE, netinfo.ParseRoute)
}

// linkNames are the interfaces' names by number.
func (k *Kernel) linkNames(ctx context.Context) (map[int32]string, error) {
	links, err := k.links(ctx)
	names := make(map[int32]string, len(links))
	for i := range links {
		names[links[i].Index] = links[i].Name
	}
	return names, err
}
