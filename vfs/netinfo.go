package vfs

import "context"

// NetDescriber is a Network that tells what it is made of: interfaces, their
// addresses, routes and neighbours. POSIX makes AF_NETLINK sockets, the interface
// ioctls (netdevice(7)) and /proc/net of it; of a Network without it, programs see no
// interfaces.
type NetDescriber interface {
	// Describe answers q with messages of rtnetlink(7), headers and all, one after the
	// other; package netinfo makes and reads them. It does not wait. EOPNOTSUPP for
	// what it knows nothing of, and for a route ENETUNREACH and its like.
	Describe(ctx context.Context, q NetQuery) ([]byte, error)
}

// NetQuery asks for everything of a kind: Type is RTM_GETLINK, RTM_GETADDR,
// RTM_GETROUTE, RTM_GETNEIGH or RTM_GETRULE, Family an AF_ value or 0 for all.
type NetQuery struct {
	Type   uint16
	Family uint8
	// To asks for the route to this address of Family only (RTM_GETROUTE).
	To []byte
}

// NetSettings is a Network with settings of its own in /proc/sys/net.
type NetSettings interface {
	// Setting returns what the file of that name below /proc/sys/net says, without the
	// newline: "core/somaxconn". ENOENT has POSIX say what it says of any network.
	Setting(ctx context.Context, name string) (string, error)
}
