package unixsock_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	unixsock "github.com/hati-os/hati/internal/servers/unix"
)

func TestParseAddr(t *testing.T) {
	long := strings.Repeat("x", 108)
	for _, c := range []struct {
		raw  string
		want unixsock.Addr
		name string // as getsockname returns it; "" is raw
		bad  bool
	}{
		{raw: "", bad: true},
		{raw: "\x01", bad: true},
		{raw: "\x01\x00"},
		{raw: "\x00\x00anything", want: unixsock.Addr{Kind: unixsock.Unspec}, name: "\x00\x00"},
		{raw: "\x02\x00\x00", bad: true},
		{raw: "\x01\x00/a\x00", want: unixsock.Addr{Kind: unixsock.Path, Name: "/a"}},
		{raw: "\x01\x00/a", want: unixsock.Addr{Kind: unixsock.Path, Name: "/a"}, name: "\x01\x00/a\x00"},
		{raw: "\x01\x00/a\x00junk", want: unixsock.Addr{Kind: unixsock.Path, Name: "/a"}, name: "\x01\x00/a\x00"},
		{raw: "\x01\x00" + long, want: unixsock.Addr{Kind: unixsock.Path, Name: long}, name: "\x01\x00" + long + "\x00"},
		{raw: "\x01\x00" + long + "x", bad: true},
		{raw: "\x01\x00\x00", want: unixsock.Addr{Kind: unixsock.Abstract}},
		{raw: "\x01\x00\x00a\x00b\x00", want: unixsock.Addr{Kind: unixsock.Abstract, Name: "a\x00b\x00"}},
		{raw: "\x01\x00\x00" + long[1:], want: unixsock.Addr{Kind: unixsock.Abstract, Name: long[1:]}},
	} {
		got, err := unixsock.ParseAddr([]byte(c.raw))
		if (err != nil) != c.bad || got != c.want {
			t.Errorf("%q: %v, %v", c.raw, got, err)
		}
		if c.bad {
			continue
		}
		if c.name == "" {
			c.name = c.raw
		}
		if name := string(got.Append(nil)); name != c.name {
			t.Errorf("%q comes back as %q", c.raw, name)
		}
	}
}

// FuzzBind binds the same address on the host and here, and compares what
// getsockname returns.
func FuzzBind(f *testing.F) {
	for _, seed := range []string{"\x01\x00", "\x01\x00abc", "\x01\x00a\x00b", "\x01\x00\x00x", "\x01\x00\x00", "\x00\x00", "\x01\x00" + strings.Repeat("y", 108), "\x01\x00" + strings.Repeat("y", 109)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, addr []byte) {
		if len(addr) > 2 && addr[2] != 0 && bytes.ContainsAny(addr[2:], "/.") {
			return // would leave the directory
		}
		t.Chdir(t.TempDir())
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		g := newGuest()
		s, _ := g.ns.New(unix.SOCK_DGRAM, 0, g.cred)
		defer s.Close()
		herr := rawAddrCall(unix.SYS_BIND, fd, addr)
		if herr == unix.EADDRINUSE {
			return // an abstract name that somebody has
		}
		if err := g.bind(s, addr); errno(err) != errno(herr) {
			t.Fatalf("bind %q: host %v, ours %v", addr, herr, err)
		}
		host, err := rawName(unix.SYS_GETSOCKNAME, fd)
		if err != nil {
			t.Fatal(err)
		}
		ours := s.Name().Append(nil)
		if len(addr) == 2 && herr == nil { // automatic: only the form is the same
			host, ours = host[:3], ours[:3]
		}
		if !bytes.Equal(host, ours) {
			t.Errorf("bind %q: host is %q, ours %q", addr, host, ours)
		}
	})
}
