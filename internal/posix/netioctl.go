package posix

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// The ioctls about interfaces (netdevice(7)), which any socket has.

const (
	socketIoctls = 0x89 // the type of all these commands

	sizeIfreq    = 40
	ifreqName    = unix.IFNAMSIZ // its bytes; what follows depends on the command
	sizeIfreqSet = sizeIfreq - ifreqName
)

// changing are the commands that change interfaces, routes and neighbours.
var changing = map[uint32]bool{
	unix.SIOCADDRT: true, unix.SIOCDELRT: true, unix.SIOCSIFLINK: true, unix.SIOCSIFFLAGS: true, unix.SIOCSIFADDR: true,
	unix.SIOCSIFDSTADDR: true, unix.SIOCSIFBRDADDR: true, unix.SIOCSIFNETMASK: true, unix.SIOCSIFMETRIC: true,
	unix.SIOCSIFMTU: true, unix.SIOCSIFNAME: true, unix.SIOCSIFHWADDR: true, unix.SIOCSIFSLAVE: true, unix.SIOCADDMULTI: true,
	unix.SIOCDELMULTI: true, unix.SIOCDIFADDR: true, unix.SIOCSIFHWBROADCAST: true, unix.SIOCSIFBR: true,
	unix.SIOCSIFTXQLEN: true, unix.SIOCSIFMAP: true, unix.SIOCSARP: true, unix.SIOCDARP: true, unix.SIOCSIFVLAN: true,
	unix.SIOCBRADDBR: true, unix.SIOCBRDELBR: true, unix.SIOCBRADDIF: true, unix.SIOCBRDELIF: true,
}

func (t *Task) interfaceIoctl(d *Description, cmd uint32, arg uint64) error {
	if changing[cmd] || (cmd == unix.SIOCGMIIPHY || cmd == unix.SIOCGMIIREG) && !t.capable(unix.CAP_NET_ADMIN) {
		return syscall.EPERM
	}
	if cmd == unix.SIOCGIFCONF {
		return t.ifconf(arg)
	}
	answer, ok := ifreqs[cmd]
	if !ok && d.net != nil && d.net.family == unix.AF_INET {
		answer, ok = ifreqsInet[cmd]
	}
	if !ok {
		return syscall.ENOTTY
	}
	var r [sizeIfreq]byte
	if err := t.copyIn(arg, r[:]); err != nil {
		return err
	}
	if cmd == unix.SIOCETHTOOL { // its own command comes first
		if _, err := t.copyInUint32(binary.NativeEndian.Uint64(r[ifreqName:])); err != nil {
			return err
		}
	}
	links, err := t.k.links(t.context())
	if err != nil {
		return err
	}
	if cmd == unix.SIOCGIFNAME {
		index := int32(binary.NativeEndian.Uint32(r[ifreqName:]))
		i := slices.IndexFunc(links, func(l netinfo.Link) bool { return l.Index == index })
		if i < 0 {
			return syscall.ENODEV
		}
		copy(r[:ifreqName], links[i].Name+"\x00")
		return t.copyOut(arg, r[:])
	}
	r[ifreqName-1] = 0
	label := string(r[:slices.Index(r[:], 0)])
	name, _, _ := strings.Cut(label, ":")
	i := slices.IndexFunc(links, func(l netinfo.Link) bool { return l.Name == name })
	if i < 0 {
		return syscall.ENODEV
	}
	if err := answer(t, &links[i], label, r[ifreqName:]); err != nil {
		return err
	}
	return t.copyOut(arg, r[:])
}

// ifreqAnswer fills r, what follows the name in a struct ifreq.
type ifreqAnswer func(t *Task, l *netinfo.Link, label string, r []byte) error

// ifreqs are for any socket, ifreqsInet for those of AF_INET.
var ifreqs = map[uint32]ifreqAnswer{
	unix.SIOCGIFNAME: nil,
	unix.SIOCGIFINDEX: func(_ *Task, l *netinfo.Link, _ string, r []byte) error {
		binary.NativeEndian.PutUint32(r, uint32(l.Index))
		return nil
	},
	unix.SIOCGIFFLAGS: func(_ *Task, l *netinfo.Link, _ string, r []byte) error {
		binary.NativeEndian.PutUint16(r, uint16(l.Flags))
		return nil
	},
	unix.SIOCGIFMTU: func(_ *Task, l *netinfo.Link, _ string, r []byte) error {
		binary.NativeEndian.PutUint32(r, l.MTU)
		return nil
	},
	unix.SIOCGIFMETRIC: func(_ *Task, _ *netinfo.Link, _ string, r []byte) error {
		binary.NativeEndian.PutUint32(r, 0)
		return nil
	},
	unix.SIOCGIFTXQLEN: func(_ *Task, l *netinfo.Link, _ string, r []byte) error {
		binary.NativeEndian.PutUint32(r, l.TxQueue)
		return nil
	},
	unix.SIOCGIFHWADDR: func(_ *Task, l *netinfo.Link, _ string, r []byte) error {
		clear(r[:16])
		binary.NativeEndian.PutUint16(r, l.Type)
		copy(r[2:16], l.Addr)
		return nil
	},
	unix.SIOCGIFMAP: func(_ *Task, _ *netinfo.Link, _ string, r []byte) error {
		clear(r[:sizeIfreqSet])
		return nil
	},
	unix.SIOCGIFSLAVE: func(*Task, *netinfo.Link, string, []byte) error { return syscall.EINVAL },
	unix.SIOCETHTOOL:  unsupported,
	unix.SIOCGMIIPHY:  unsupported, unix.SIOCGMIIREG: unsupported,
	unix.SIOCGHWTSTAMP: unsupported,
}

func unsupported(*Task, *netinfo.Link, string, []byte) error { return syscall.EOPNOTSUPP }

var ifreqsInet = map[uint32]ifreqAnswer{
	unix.SIOCGIFADDR: inetAnswer(func(a *netinfo.Addr) netip.Addr { return a.Local.Addr() }),
	unix.SIOCGIFDSTADDR: inetAnswer(func(a *netinfo.Addr) netip.Addr {
		if a.Peer.IsValid() {
			return a.Peer
		}
		return a.Local.Addr()
	}),
	unix.SIOCGIFBRDADDR: inetAnswer(func(a *netinfo.Addr) netip.Addr { return a.Broadcast }),
	unix.SIOCGIFNETMASK: inetAnswer(func(a *netinfo.Addr) netip.Addr {
		mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), a.Local.Bits())
		return mask.Masked().Addr()
	}),
}

// inetAnswer is an answer with an address, of the interface's address that the caller
// has in r, or else of the first with the label.
func inetAnswer(of func(*netinfo.Addr) netip.Addr) ifreqAnswer {
	return func(t *Task, l *netinfo.Link, label string, r []byte) error {
		all, err := t.k.addrs(t.context())
		if err != nil {
			return err
		}
		var found *netinfo.Addr
		asked, inet := netip.AddrFrom4([4]byte(r[4:8])), binary.NativeEndian.Uint16(r) == unix.AF_INET
		for i := range all {
			a := &all[i]
			if a.Index != l.Index || a.Label != label || !a.Local.Addr().Is4() {
				continue
			}
			if inet && a.Local.Addr() == asked {
				found = a
				break
			}
			if found == nil {
				found = a
			}
		}
		if found == nil {
			return syscall.EADDRNOTAVAIL
		}
		putInet(r, of(found))
		return nil
	}
}

// putInet writes a struct sockaddr_in without port; no address is 0.0.0.0.
func putInet(r []byte, a netip.Addr) {
	clear(r[:16])
	binary.NativeEndian.PutUint16(r, unix.AF_INET)
	if a.Is4() {
		copy(r[4:8], a.AsSlice())
	}
}

// ifconf is SIOCGIFCONF: the IPv4 addresses, as many as there is room for, or how much
// room they need.
func (t *Task) ifconf(at uint64) error {
	var c [16]byte // struct ifconf
	if err := t.copyIn(at, c[:]); err != nil {
		return err
	}
	room, buf := int(int32(binary.NativeEndian.Uint32(c[:]))), binary.NativeEndian.Uint64(c[8:])
	all, err := t.k.addrs(t.context())
	if err != nil {
		return err
	}
	var out []byte
	for i := range all {
		if !all[i].Local.Addr().Is4() {
			continue
		}
		var r [sizeIfreq]byte
		copy(r[:ifreqName-1], all[i].Label)
		putInet(r[ifreqName:], all[i].Local.Addr())
		if buf != 0 && len(out)+len(r) > room {
			break
		}
		out = append(out, r[:]...)
	}
	if buf != 0 && len(out) > 0 {
		if err := t.copyOut(buf, out); err != nil {
			return err
		}
	}
	return t.copyOutUint32(at, uint32(len(out)))
}
