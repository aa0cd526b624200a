package faulttest

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Net is a network that is slow or deaf as its Faults say, and counts the sockets that
// are open.
type Net struct {
	vfs.Network
	Faults Faults
	open   atomic.Int64
}

// Open implements [Opens].
func (n *Net) Open() int { return int(n.open.Load()) }

// Socket implements vfs.Network.
func (n *Net) Socket(ctx context.Context, family, typ, protocol int) (vfs.Socket, error) {
	return delayed(ctx, n, func() (vfs.Socket, error) {
		s, err := n.Network.Socket(ctx, family, typ, protocol)
		if err != nil {
			return nil, err
		}
		return n.opened(s), nil
	})
}

func (n *Net) opened(s vfs.Socket) vfs.Socket {
	n.open.Add(1)
	return &slowSocket{Socket: s, n: n}
}

// delayed makes a call between two delays.
func delayed[T any](ctx context.Context, n *Net, call func() (T, error)) (v T, err error) {
	if !n.Faults.Delay(ctx) {
		return v, context.Cause(ctx)
	}
	v, err = call()
	n.Faults.Delay(context.Background())
	return v, err
}

func (n *Net) after(ctx context.Context, call func() error) error {
	_, err := delayed(ctx, n, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

type slowSocket struct {
	vfs.Socket
	n    *Net
	once sync.Once
}

func (s *slowSocket) Close() error {
	defer s.once.Do(func() { s.n.open.Add(-1) })
	return s.Socket.Close()
}

func (s *slowSocket) Lend(ctx context.Context, write bool, recall func()) (vfs.Loan, error) {
	if l, ok := s.Socket.(vfs.Lender); ok {
		return l.Lend(ctx, write, recall)
	}
	return vfs.Loan{}, syscall.EOPNOTSUPP
}

func (s *slowSocket) Bind(ctx context.Context, addr []byte) error {
	return s.n.after(ctx, func() error { return s.Socket.Bind(ctx, addr) })
}

func (s *slowSocket) Connect(ctx context.Context, addr []byte) error {
	return s.n.after(ctx, func() error { return s.Socket.Connect(ctx, addr) })
}

func (s *slowSocket) Listen(ctx context.Context, backlog int) error {
	return s.n.after(ctx, func() error { return s.Socket.Listen(ctx, backlog) })
}

func (s *slowSocket) Accept(ctx context.Context) (c vfs.Socket, addr []byte, err error) {
	err = s.n.after(ctx, func() (err error) {
		if c, addr, err = s.Socket.Accept(ctx); err == nil {
			c = s.n.opened(c)
		}
		return err
	})
	return c, addr, err
}

func (s *slowSocket) Addr(ctx context.Context, peer bool) ([]byte, error) {
	return delayed(ctx, s.n, func() ([]byte, error) { return s.Socket.Addr(ctx, peer) })
}

func (s *slowSocket) Send(ctx context.Context, m *vfs.Packet) (int, error) {
	return delayed(ctx, s.n, func() (int, error) { return s.Socket.Send(ctx, m) })
}

func (s *slowSocket) Receive(ctx context.Context, m *vfs.Packet) (int, error) {
	return delayed(ctx, s.n, func() (int, error) { return s.Socket.Receive(ctx, m) })
}
