package inet

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

var (
	_ vfs.NetDescriber = (*Network)(nil)
	_ vfs.NetSettings  = (*Network)(nil)
)

// Describe implements vfs.NetDescriber: a realm may have interfaces of its own.
func (n *Network) Describe(ctx context.Context, q vfs.NetQuery) ([]byte, error) {
	if own, ok := n.realm.(vfs.NetDescriber); ok {
		return own.Describe(ctx, q)
	}
	return describeHost(q)
}

// Setting implements vfs.NetSettings: the sockets are the host's, so its settings hold.
func (n *Network) Setting(_ context.Context, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", syscall.ENOENT
	}
	name = "/proc/sys/net/" + name
	if st, err := os.Stat(name); err != nil || st.Mode()&0o004 == 0 {
		return "", syscall.ENOENT // some are keys, which only root may read
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", syscall.ENOENT
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

// requests are what is asked of the host, with the size of the structure that begins
// the message. All are read-only.
var requests = map[uint16]int{
	unix.RTM_GETLINK:  unix.SizeofIfInfomsg,
	unix.RTM_GETADDR:  unix.SizeofIfAddrmsg,
	unix.RTM_GETROUTE: unix.SizeofRtMsg,
	unix.RTM_GETNEIGH: unix.SizeofNdMsg,
	unix.RTM_GETRULE:  unix.SizeofRtMsg,
}

// describeHost asks the host, whose answers are there at once.
func describeHost(q vfs.NetQuery) ([]byte, error) {
	size, ok := requests[q.Type]
	if !ok {
		return nil, syscall.EOPNOTSUPP
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	body := make([]byte, size)
	body[0] = q.Family
	flags := uint16(unix.NLM_F_REQUEST | unix.NLM_F_DUMP)
	if q.To != nil {
		body[1] = uint8(8 * len(q.To))
		body = netinfo.AppendAttr(body, unix.RTA_DST, q.To)
		flags = unix.NLM_F_REQUEST
	}
	request := netinfo.Message{Type: q.Type, Flags: flags, Seq: 1, Body: body}.Append(nil)
	kernel := unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if _, err := hostwait.Retry(func() (int, error) { return 0, unix.Sendto(fd, request, 0, &kernel) }); err != nil {
		return nil, err
	}
	return answer(fd, q.To != nil)
}

// answer reads messages to their end, which for a single one is the first.
func answer(fd int, single bool) (all []byte, err error) {
	buf := make([]byte, 64<<10) // the host sends no more at a time than it is asked for
	for {
		n, err := hostwait.Retry(func() (int, error) {
			n, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
			return n, err
		})
		switch {
		case err != nil:
			return nil, err
		case n == 0 || n > len(buf):
			return nil, syscall.EIO
		}
		for m := range netinfo.Messages(buf[:n]) {
			switch m.Type {
			case unix.NLMSG_DONE:
				return all, nil
			case unix.NLMSG_ERROR:
				return nil, errorOf(m.Body)
			}
			all = netinfo.Message{Type: m.Type, Body: m.Body}.Append(all)
			if single {
				return all, nil
			}
		}
	}
}

// errorOf is the error in a struct nlmsgerr.
func errorOf(body []byte) error {
	if len(body) >= 4 {
		if e := int32(binary.NativeEndian.Uint32(body)); e < 0 {
			return syscall.Errno(-e)
		}
	}
	return syscall.EIO
}
