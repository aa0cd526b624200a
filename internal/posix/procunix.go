package posix

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// procNetUnix is /proc/net/unix: of the box's sockets, those that have a name.
func (k *Kernel) procNetUnix() []byte {
	b := []byte("Num       RefCount Protocol Flags    Type St Inode Path\n")
	for _, s := range k.sockets.Sockets() {
		const (
			acceptCon              = 1 << 16 // __SO_ACCEPTCON
			unconnected, connected = 1, 3    // SS_UNCONNECTED, SS_CONNECTED
		)
		flags, state := 0, unconnected
		if v, _ := s.Option(unix.SO_ACCEPTCONN); v != 0 {
			flags = acceptCon
		} else if _, err := s.PeerName(); err == nil {
			state = connected
		}
		b = fmt.Appendf(b, "%016x: %08X %08X %08X %04X %02X %5d %s\n", 0, 2, 0, flags, s.Type(), state, inoOf(s), s.Name())
	}
	return b
}
