package vfstest

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func (e *netEnv) datagrams() {
	a, at := e.bound(unix.SOCK_DGRAM)
	b, to := e.bound(unix.SOCK_DGRAM)
	for _, text := range []string{"one", "", "three"} {
		n, err := a.send([]byte(text), 0, to)
		e.must("sendto", err)
		if n != len(text) {
			e.Errorf("sent %d", n)
		}
	}
	for _, text := range []string{"one", "", "three"} {
		m := vfs.Packet{Data: make([]byte, 100)}
		n, err := b.receive(&m)
		e.must("recvfrom", err)
		if string(m.Data[:n]) != text || !sameAddr(m.Addr, at) || m.Flags&unix.MSG_TRUNC != 0 {
			e.Errorf("received %q from %x with %#x, want %q from %x", m.Data[:n], m.Addr, m.Flags, text, at)
		}
	}
	large := make([]byte, 60_000)
	large[59_999] = 1
	if n, err := a.send(large, 0, to); n != len(large) || err != nil {
		e.Fatalf("sent %d: %v", n, err)
	}
	m := vfs.Packet{Data: make([]byte, 70_000)}
	if n, err := b.receive(&m); n != len(large) || err != nil || m.Data[59_999] != 1 {
		e.Errorf("received %d: %v", n, err)
	}
}

func (e *netEnv) datagramCut() {
	a, _ := e.bound(unix.SOCK_DGRAM)
	b, to := e.bound(unix.SOCK_DGRAM)
	for range 2 {
		if _, err := a.send([]byte("abcdef"), 0, to); err != nil {
			e.Fatal(err)
		}
	}
	for _, tc := range []struct{ flags, n int }{{unix.MSG_PEEK, 2}, {unix.MSG_PEEK | unix.MSG_TRUNC, 6}, {unix.MSG_TRUNC, 6}, {0, 2}} {
		m := vfs.Packet{Data: make([]byte, 2), Flags: tc.flags}
		n, err := b.receive(&m)
		e.must("receive", err)
		if n != tc.n || string(m.Data) != "ab" || m.Flags&unix.MSG_TRUNC == 0 {
			e.Errorf("with %#x: %d bytes, %q, flags %#x", tc.flags, n, m.Data, m.Flags)
		}
	}
	_, err := b.Receive(context.Background(), &vfs.Packet{Data: make([]byte, 2)})
	e.wants("what was cut off", err, syscall.EAGAIN)
}

func (e *netEnv) datagramConnected() {
	a := e.socket(unix.SOCK_DGRAM)
	b, to := e.bound(unix.SOCK_DGRAM)
	e.must("connect", a.Connect(context.Background(), to))
	a.say("hello")
	if got := b.text(10); got != "hello" {
		e.Errorf("received %q", got)
	}
	b.Close()
	a.say("anybody?")
	a.await(vfs.EventErr)
	_, err := a.receive(&vfs.Packet{Data: make([]byte, 1)})
	e.wants("receive from a closed port", err, syscall.ECONNREFUSED)
	unspec := make([]byte, 16)
	e.must("disconnect", a.Connect(context.Background(), unspec))
	_, err = a.Addr(context.Background(), true)
	e.wants("getpeername", err, syscall.ENOTCONN)
}

func (e *netEnv) datagramControl() {
	a, _ := e.bound(unix.SOCK_DGRAM)
	b, to := e.bound(unix.SOCK_DGRAM)
	e.must("IP_RECVTTL", b.setOption(unix.SOL_IP, unix.IP_RECVTTL, 1))
	ttl := make([]byte, unix.CmsgSpace(4))
	binary.NativeEndian.PutUint64(ttl, uint64(unix.CmsgLen(4)))
	binary.NativeEndian.PutUint32(ttl[8:], unix.SOL_IP)
	binary.NativeEndian.PutUint32(ttl[12:], unix.IP_TTL)
	ttl[16] = 7
	m := vfs.Packet{Data: []byte("x"), Addr: to, Control: ttl}
	if n, err := a.Send(context.Background(), &m); n != 1 || err != nil {
		e.Fatalf("sendmsg: %d, %v", n, err)
	}
	m = vfs.Packet{Data: make([]byte, 10), Control: make([]byte, 0, 64)}
	n, err := b.receive(&m)
	e.must("recvmsg", err)
	if n != 1 || len(m.Control) < 20 || m.Control[16] != 7 || m.Flags&unix.MSG_CTRUNC != 0 {
		e.Errorf("received %d bytes, ancillary data %x, flags %#x", n, m.Control, m.Flags)
	}
	if _, err := a.send([]byte("y"), 0, to); err != nil {
		e.Fatal(err)
	}
	m = vfs.Packet{Data: make([]byte, 10), Control: make([]byte, 0, 4)}
	if n, err = b.receive(&m); n != 1 || err != nil || m.Flags&unix.MSG_CTRUNC == 0 {
		e.Errorf("without room: %d, %v, flags %#x", n, err, m.Flags)
	}
}

func (e *netEnv) options() {
	ctx := context.Background()
	s := e.socket(unix.SOCK_STREAM)
	if got := s.option(unix.SOL_SOCKET, unix.SO_TYPE); got != unix.SOCK_STREAM {
		e.Errorf("SO_TYPE is %d", got)
	}
	for _, o := range [][2]int{{unix.SOL_SOCKET, unix.SO_REUSEADDR}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.SOL_TCP, unix.TCP_NODELAY}} {
		for _, on := range []int{1, 0, 1} {
			e.must("setsockopt", s.setOption(o[0], o[1], on))
			if got := s.option(o[0], o[1]); (got != 0) != (on != 0) {
				e.Errorf("option %v is %d after it was set to %d", o, got, on)
			}
		}
	}
	short := []byte{9, 9}
	if n, err := s.Option(ctx, unix.SOL_SOCKET, unix.SO_TYPE, short); n != 2 || err != nil || short[0] != unix.SOCK_STREAM {
		e.Errorf("an option in two bytes: %d, %v, %v", n, err, short)
	}
	if n, err := s.Option(ctx, unix.SOL_SOCKET, unix.SO_TYPE, nil); n != 0 || err != nil {
		e.Errorf("an option in none: %d, %v", n, err)
	}
	_, err := s.Option(ctx, unix.SOL_SOCKET, 9999, make([]byte, 4))
	e.wants("unknown option", err, syscall.ENOPROTOOPT)
	e.wants("unknown option", s.setOption(unix.SOL_SOCKET, 9999, 1), syscall.ENOPROTOOPT)
	e.wants("half an option", s.SetOption(ctx, unix.SOL_TCP, unix.TCP_NODELAY, []byte{1}), syscall.EINVAL)
	info := make([]byte, 500)
	if n, err := s.Option(ctx, unix.SOL_TCP, unix.TCP_INFO, info); n < 100 || n > 500 || err != nil {
		e.Errorf("TCP_INFO: %d, %v", n, err)
	}
}

// ioctlArg is an argument in memory that can be reached.
type ioctlArg struct{ p []byte }

func (a ioctlArg) Value() uint64 { return 0x1000 }
func (a ioctlArg) ReadAt(p []byte, off int) error {
	if off+len(p) > len(a.p) {
		return syscall.EFAULT
	}
	copy(p, a.p[off:])
	return nil
}
func (a ioctlArg) WriteAt(p []byte, off int) error {
	if off+len(p) > len(a.p) {
		return syscall.EFAULT
	}
	copy(a.p[off:], p)
	return nil
}

func (e *netEnv) ioctl() {
	a, b := e.pair()
	a.say("12345")
	b.await(vfs.EventIn)
	i, ok := b.Socket.(vfs.Ioctler)
	if !ok {
		e.Fatal("the socket has no ioctls")
	}
	for _, size := range []int{4, 8000} {
		arg := ioctlArg{make([]byte, size)}
		if _, err := i.Ioctl(context.Background(), unix.SIOCINQ, arg); err != nil || binary.NativeEndian.Uint32(arg.p) != 5 {
			e.Errorf("SIOCINQ: %v, %v", arg.p[:4], err)
		}
	}
	_, err := i.Ioctl(context.Background(), unix.SIOCINQ, ioctlArg{})
	e.wants("SIOCINQ into nothing", err, syscall.EFAULT)
	_, err = i.Ioctl(context.Background(), unix.TCGETS, ioctlArg{make([]byte, 100)})
	e.wants("TCGETS", err, syscall.ENOTTY)
}
