package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/rpc"

	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

// way is one way to move a payload.
type way struct {
	name, title string
	role        string // of the server
	most        int    // clients; 0 for any number
	connect     func(path string, n int) (call func() error, done func(), err error)
}

var ways = []way{
	{"ring", "lane: copied through the ring", "lane", 0, viaRing},
	{"inplace", "lane: read where it lies", "lane-shared", 0, viaRing},
	{"memory", "lane: by reference to shared memory", "lane", 0, viaMemory},
	{"pages", "lane: pages handed over", "lane", 0, viaPages},
	{"socket", "unix stream socket", "socket", 0, viaSocket},
	{"spin", "unix stream socket, receivers spin first", "spin", 100, viaSpin}, // a thread each
	{"pipe", "two FIFOs", "fifo", 0, viaFIFO},
	{"netrpc", "net/rpc over a unix socket", "netrpc", 0, viaRPC},
	{"grpc", "gRPC over a unix socket", "grpc", 0, viaGRPC},
	{"capnp", "Cap'n Proto RPC over a unix socket", "capnp", 0, viaCapnp},
	{"fuse", "FUSE, write(2) to a mounted file", "fuse", 0, viaFUSE},
}

// Operations of the lane servers.
const (
	opSum = 1 + iota
	opUse
	opSumMemory
	opSumPages
)

func dial(path string, n int) (*lane.Lane, error) {
	return lane.Dial(context.Background(), path, lane.Config{Slots: 64, Arena: max(1<<20, 2*n)})
}

func viaRing(path string, n int) (func() error, func(), error) {
	l, err := dial(path, n)
	if err != nil {
		return nil, nil, err
	}
	req, rep := lane.Message{Op: opSum, Bulk: make([]byte, n)}, lane.Message{Data: make([]byte, 0, 64)}
	return func() error { return l.Call(context.Background(), &req, &rep) }, func() { l.Close() }, nil
}

func viaMemory(path string, n int) (func() error, func(), error) {
	l, err := dial(path, 0)
	if err != nil {
		return nil, nil, err
	}
	m, err := lane.NewMemory(n)
	if err != nil {
		return nil, nil, err
	}
	if _, err := m.Map(); err != nil {
		return nil, nil, err
	}
	d, err := m.Dup()
	if err != nil {
		return nil, nil, err
	}
	if err := l.Call(context.Background(), &lane.Message{Op: opUse, Objects: []lane.Object{d}}, nil); err != nil {
		return nil, nil, err
	}
	req := lane.Message{Op: opSumMemory, Data: binary.LittleEndian.AppendUint64(nil, uint64(n))}
	rep := lane.Message{Data: make([]byte, 0, 64)}
	return func() error { return l.Call(context.Background(), &req, &rep) }, func() { l.Close(); m.Close() }, nil
}

func viaPages(path string, n int) (func() error, func(), error) {
	l, err := dial(path, 0)
	if err != nil {
		return nil, nil, err
	}
	payload := make([]byte, n)
	rep := lane.Message{Data: make([]byte, 0, 64)}
	return func() error {
		m, err := lane.NewMemory(n)
		if err != nil {
			return err
		}
		if _, err := m.WriteAt(payload, 0); err != nil {
			return err
		}
		if err := m.Seal(); err != nil {
			return err
		}
		return l.Call(context.Background(), &lane.Message{Op: opSumPages, Objects: []lane.Object{m}}, &rep)
	}, func() { l.Close() }, nil
}

// viaStream frames requests with their length on two directions of a stream.
func viaStream(w io.Writer, r io.Reader, n int) func() error {
	payload := make([]byte, n)
	var head [8]byte
	return func() error {
		binary.LittleEndian.PutUint64(head[:], uint64(n))
		if _, err := w.Write(head[:]); err != nil {
			return err
		}
		if _, err := w.Write(payload); err != nil {
			return err
		}
		_, err := io.ReadFull(r, head[:])
		return err
	}
}

func viaSocket(path string, n int) (func() error, func(), error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, nil, err
	}
	return viaStream(c, c, n), func() { c.Close() }, nil
}

func viaRPC(path string, n int) (func() error, func(), error) {
	c, err := rpc.Dial("unix", path)
	if err != nil {
		return nil, nil, err
	}
	payload := make([]byte, n)
	return func() error {
		var s uint64
		return c.Call("Summer.Sum", payload, &s)
	}, func() { c.Close() }, nil
}

// viaFIFO asks the server, over a socket, for two pipes of its own.
func viaFIFO(path string, n int) (func() error, func(), error) {
	l, err := dial(path, 0)
	if err != nil {
		return nil, nil, err
	}
	var up, down [2]int
	if err := unix.Pipe2(up[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	if err := unix.Pipe2(down[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	theirs := make([]lane.Object, 2)
	for i, fd := range []int{up[0], down[1]} {
		f, err := lane.NewFile(fd)
		if err != nil {
			return nil, nil, err
		}
		theirs[i] = f
	}
	if err := l.Call(context.Background(), &lane.Message{Objects: theirs}, nil); err != nil {
		return nil, nil, err
	}
	w, r := pipeFile(up[1]), pipeFile(down[0])
	return viaStream(w, r, n), func() { w.Close(); r.Close(); l.Close() }, nil
}
