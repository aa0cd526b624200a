package netinfo_test

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// TestRoundTrip reads back what the loopback network says.
func TestRoundTrip(t *testing.T) {
	s := netinfo.Loopback()
	var got netinfo.Static
	for _, typ := range []uint16{unix.RTM_GETLINK, unix.RTM_GETADDR, unix.RTM_GETROUTE, unix.RTM_GETNEIGH} {
		b, err := s.Describe(t.Context(), vfs.NetQuery{Type: typ})
		if err != nil {
			t.Fatal(err)
		}
		for m := range netinfo.Messages(b) {
			ok := false
			switch m.Type {
			case unix.RTM_NEWLINK:
				var l netinfo.Link
				l, ok = netinfo.ParseLink(m.Body)
				got.Links = append(got.Links, l)
			case unix.RTM_NEWADDR:
				var a netinfo.Addr
				a, ok = netinfo.ParseAddr(m.Body)
				got.Addrs = append(got.Addrs, a)
			case unix.RTM_NEWROUTE:
				var r netinfo.Route
				r, ok = netinfo.ParseRoute(m.Body)
				got.Routes = append(got.Routes, r)
			}
			if !ok {
				t.Errorf("cannot read %+v", m)
			}
		}
	}
	if !reflect.DeepEqual(&got, s) {
		t.Errorf("got %+v\nwant %+v", &got, s)
	}
}

// TestTable: the header names the tables that it has room for.
func TestTable(t *testing.T) {
	for table, want := range map[uint32]uint8{unix.RT_TABLE_LOCAL: unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN: unix.RT_TABLE_MAIN, 1000: unix.RT_TABLE_COMPAT} {
		r := netinfo.Route{To: netip.MustParsePrefix("10.0.0.0/8"), Table: table}
		for m := range netinfo.Messages(r.Append(nil)) {
			if got := m.Body[4]; got != want {
				t.Errorf("table %d: rtm_table %d, want %d", table, got, want)
			}
			if back, ok := netinfo.ParseRoute(m.Body); !ok || back.Table != table {
				t.Errorf("table %d was read as %d", table, back.Table)
			}
		}
	}
}

func TestRouteTo(t *testing.T) {
	s := netinfo.Loopback()
	for _, c := range []struct {
		to  string
		err error
	}{{"127.0.0.1", nil}, {"127.9.9.9", nil}, {"::1", nil}, {"192.0.2.1", unix.ENETUNREACH}, {"fe80::1", unix.ENETUNREACH}} {
		a := netip.MustParseAddr(c.to)
		b, err := s.Describe(t.Context(), vfs.NetQuery{Type: unix.RTM_GETROUTE, To: a.AsSlice()})
		if err != c.err {
			t.Errorf("%s: %v, want %v", c.to, err, c.err)
		}
		for m := range netinfo.Messages(b) {
			if r, ok := netinfo.ParseRoute(m.Body); !ok || r.To != netip.PrefixFrom(a, a.BitLen()) || r.Index != 1 {
				t.Errorf("%s: got %+v", c.to, r)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	s := netinfo.Loopback()
	for _, typ := range []uint16{unix.RTM_GETLINK, unix.RTM_GETADDR, unix.RTM_GETROUTE} {
		b, _ := s.Describe(f.Context(), vfs.NetQuery{Type: typ})
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for m := range netinfo.Messages(b) {
			n += len(m.Append(nil))
			if l, ok := netinfo.ParseLink(m.Body); ok {
				l.Append(nil)
			}
			if a, ok := netinfo.ParseAddr(m.Body); ok {
				a.Append(nil)
			}
			if r, ok := netinfo.ParseRoute(m.Body); ok {
				r.Append(nil)
			}
		}
		if n > len(b)+3 {
			t.Fatalf("%d bytes of messages in %d", n, len(b))
		}
	})
}
