package inet_test

import (
	"encoding/binary"
	"testing"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func number(v int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

func cmsg(level, typ int32, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(16+len(data)))
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(typ))
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&7)...)
}

// TestPrivilegedOptions: what the host allows root alone it allows no guest, also when
// this process is root's.
func TestPrivilegedOptions(t *testing.T) {
	n := inet.Host()
	for _, c := range []struct {
		name                  string
		family, level, option int
		value                 []byte
		want                  error
	}{
		{"SO_MARK", unix.AF_INET, unix.SOL_SOCKET, unix.SO_MARK, number(1), unix.EPERM},
		{"SO_RCVBUFFORCE", unix.AF_INET, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, number(1 << 30), unix.EPERM},
		{"SO_SNDBUFFORCE", unix.AF_INET, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, number(1 << 30), unix.EPERM},
		{"SO_PRIORITY 6", unix.AF_INET, unix.SOL_SOCKET, unix.SO_PRIORITY, number(6), nil},
		{"SO_PRIORITY 7", unix.AF_INET, unix.SOL_SOCKET, unix.SO_PRIORITY, number(7), unix.EPERM},
		{"SO_BUSY_POLL", unix.AF_INET, unix.SOL_SOCKET, unix.SO_BUSY_POLL, number(1000), unix.EPERM},
		{"SO_DEBUG", unix.AF_INET, unix.SOL_SOCKET, unix.SO_DEBUG, number(1), unix.EACCES},
		{"SO_RESERVE_MEM", unix.AF_INET, unix.SOL_SOCKET, unix.SO_RESERVE_MEM, number(1 << 30), unix.ENOPROTOOPT},
		{"SO_ATTACH_FILTER", unix.AF_INET, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, make([]byte, 16), unix.ENOPROTOOPT},
		{"SO_ZEROCOPY", unix.AF_INET, unix.SOL_SOCKET, unix.SO_ZEROCOPY, number(1), unix.ENOPROTOOPT},
		{"IP_TRANSPARENT", unix.AF_INET, unix.SOL_IP, unix.IP_TRANSPARENT, number(1), unix.EPERM},
		{"IP_OPTIONS", unix.AF_INET, unix.SOL_IP, unix.IP_OPTIONS, []byte{131, 7, 4, 127, 0, 0, 1, 0}, unix.EPERM},
		{"no IP_OPTIONS", unix.AF_INET, unix.SOL_IP, unix.IP_OPTIONS, nil, nil},
		{"IPV6_TRANSPARENT", unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_TRANSPARENT, number(1), unix.EPERM},
		{"IPV6_JOIN_ANYCAST", unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_JOIN_ANYCAST, make([]byte, 20), unix.EPERM},
		{"IPT_SO_SET_REPLACE", unix.AF_INET, unix.SOL_IP, 64, make([]byte, 64), unix.ENOPROTOOPT},
		{"TCP_CONGESTION", unix.AF_INET, unix.SOL_TCP, unix.TCP_CONGESTION, []byte("reno"), nil},
		{"TCP_CONGESTION, unknown", unix.AF_INET, unix.SOL_TCP, unix.TCP_CONGESTION, []byte("nosuchthing"), unix.ENOENT},
		{"TCP_ULP", unix.AF_INET, unix.SOL_TCP, unix.TCP_ULP, []byte("tls"), unix.ENOPROTOOPT},
		{"TCP_REPAIR", unix.AF_INET, unix.SOL_TCP, unix.TCP_REPAIR, number(1), unix.ENOPROTOOPT},
	} {
		s, err := n.Socket(t.Context(), c.family, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetOption(t.Context(), c.level, c.option, c.value); err != c.want && (err != nil || c.want != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		s.Close()
	}
}

// TestPrivilegedControls: of ancillary data only what is harmless reaches the host, and
// what Linux passes over is passed over.
func TestPrivilegedControls(t *testing.T) {
	n := inet.Host()
	s, err := n.Socket(t.Context(), unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	here := []byte{unix.AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := s.Bind(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	to, err := s.Addr(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		control []byte
		want    error
	}{
		{"none", nil, nil},
		{"TTL", cmsg(unix.SOL_IP, unix.IP_TTL, number(9)...), nil},
		{"descriptors", cmsg(unix.SOL_SOCKET, unix.SCM_RIGHTS, number(0)...), nil},
		{"another level", cmsg(9999, 1, 1, 2, 3), nil},
		{"descriptors and TTL", append(cmsg(unix.SOL_SOCKET, unix.SCM_RIGHTS, number(0)...), cmsg(unix.SOL_IP, unix.IP_TTL, number(9)...)...), nil},
		{"SO_MARK", cmsg(unix.SOL_SOCKET, unix.SO_MARK, number(1)...), unix.EPERM},
		{"SCM_TXTIME", cmsg(unix.SOL_SOCKET, unix.SCM_TXTIME, 1, 2, 3, 4, 5, 6, 7, 8), unix.EINVAL},
		{"IP_RETOPTS", cmsg(unix.SOL_IP, unix.IP_RETOPTS, 131, 7, 4, 127, 0, 0, 1, 0), unix.EINVAL},
		{"too long", []byte{255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, unix.EINVAL},
		{"too short", make([]byte, 16), unix.EINVAL},
		{"a rest", make([]byte, 15), nil},
	} {
		if _, err := s.Send(t.Context(), &vfs.Packet{Data: []byte("x"), Addr: to, Control: c.control}); err != c.want && (err != nil || c.want != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
