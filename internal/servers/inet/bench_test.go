package inet_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// BenchmarkDatagram sends a byte to itself and receives it.
func BenchmarkDatagram(b *testing.B) {
	s, err := inet.Host().Socket(b.Context(), unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Bind(b.Context(), []byte{unix.AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		b.Fatal(err)
	}
	to, err := s.Addr(b.Context(), false)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Send(b.Context(), &vfs.Packet{Data: data, Addr: to}); err != nil {
			b.Fatal(err)
		}
		if s.Poll(vfs.EventIn) == 0 {
			b.Fatal("nothing came")
		}
		if _, err := s.Receive(b.Context(), &vfs.Packet{Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}
