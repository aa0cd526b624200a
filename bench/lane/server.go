package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"

	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

// sum reads every byte once.
func sum(p []byte) (s uint64) {
	for len(p) >= 8 {
		s += binary.LittleEndian.Uint64(p)
		p = p[8:]
	}
	for _, b := range p {
		s += uint64(b)
	}
	return s
}

// serve is the other process: it says "ready" and ends with its input.
func serve(role, path string) {
	err := map[string]func(string) error{
		"lane":        func(p string) error { return serveLanes(p, false) },
		"lane-shared": func(p string) error { return serveLanes(p, true) },
		"socket":      serveSockets,
		"spin":        serveSpin,
		"fifo":        serveFIFOs,
		"netrpc":      serveRPC,
		"grpc":        serveGRPC,
		"capnp":       serveCapnp,
		"fuse":        serveFUSE,
	}[role](path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	stopFUSE()
}

func serveLanes(path string, shared bool) error {
	return acceptLanes(path, func(l *lane.Lane) error {
		return l.Handle(sumHandler(), lane.ServeOptions{SharedBulk: shared})
	})
}

func acceptLanes(path string, serve func(*lane.Lane) error) error {
	ln, err := lane.Listen(path, 0o600, lane.Config{Arena: 64 << 20})
	if err != nil {
		return err
	}
	go func() {
		for {
			l, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			if err := serve(l); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	return nil
}

func sumHandler() lane.Handler {
	var kept []byte
	return func(ctx context.Context, r *lane.Request) error {
		var s uint64
		switch r.Op {
		case opSum:
			s = sum(r.Bulk)
		case opUse:
			m := r.Objects[0].(*lane.Memory)
			r.Objects[0] = nil
			var err error
			kept, err = m.Map()
			return err
		case opSumMemory:
			n := binary.LittleEndian.Uint64(r.Data)
			if n > uint64(len(kept)) {
				return unix.EINVAL
			}
			s = sum(kept[:n])
		case opSumPages:
			b, err := r.Objects[0].(*lane.Memory).Map()
			if err != nil {
				return err
			}
			s = sum(b)
		default:
			return unix.ENOSYS
		}
		r.Reply.Data = binary.LittleEndian.AppendUint64(r.Reply.Data, s)
		return nil
	}
}

// answerStream answers framed requests until the stream ends.
func answerStream(r io.Reader, w io.Writer) {
	var head [8]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		n := int(binary.LittleEndian.Uint64(head[:]))
		if n > len(buf) {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return
		}
		binary.LittleEndian.PutUint64(head[:], sum(buf[:n]))
		if _, err := w.Write(head[:]); err != nil {
			return
		}
	}
}

func serveSockets(path string) error {
	return acceptConns(path, func(c net.Conn) { answerStream(c, c) })
}

// acceptConns serves each client of a unix socket on a goroutine of its own.
func acceptConns(path string, serve func(net.Conn)) error {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return nil
}

func serveFIFOs(path string) error {
	return acceptLanes(path, func(l *lane.Lane) error {
		return l.Handle(func(ctx context.Context, r *lane.Request) error {
			in := pipeFile(r.Objects[0].(*lane.File).Take())
			out := pipeFile(r.Objects[1].(*lane.File).Take())
			go answerStream(in, out)
			return nil
		}, lane.ServeOptions{})
	})
}

// pipeFile makes a file that the runtime's poller waits for.
func pipeFile(fd int) *os.File {
	unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "pipe")
}

// Summer is the server of net/rpc.
type Summer struct{}

// Sum sums.
func (Summer) Sum(p []byte, s *uint64) error { *s = sum(p); return nil }

func serveRPC(path string) error {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := rpc.Register(Summer{}); err != nil {
		return err
	}
	go rpc.Accept(ln)
	return nil
}
