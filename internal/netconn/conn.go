// Package netconn has a vfs.Network's sockets be Go's connections (net.Conn). It
// imports vfs, abi and x/sys only.
//
// Lock order: Conn.reading or Conn.writing, then Conn.use, then a deadline's.
package netconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Conn is a connected socket. Its methods may be called concurrently.
type Conn struct {
	s             vfs.Socket
	network       string
	stream        bool
	local, remote net.Addr

	reading, writing  sync.Mutex // one of each at a time: what they move is in order
	readEnd, writeEnd deadline
	closed            chan struct{}
	once              sync.Once
	use               sync.RWMutex // held by all who use s, and by Close
	closeErr          error
	afterClose        func()
}

var _ net.Conn = (*Conn)(nil)

// retry does op until it says something else than EAGAIN: with net.ErrClosed or
// os.ErrDeadlineExceeded it had no effect.
func (c *Conn) retry(events vfs.Events, end *deadline, op func() error) error {
	c.use.RLock()
	defer c.use.RUnlock()
	over := end.over()
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-over:
		return os.ErrDeadlineExceeded
	default:
	}
	err := op()
	if !errors.Is(err, syscall.EAGAIN) {
		return err
	}
	ready := make(chan struct{}, 1)
	w := vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case ready <- struct{}{}:
		default:
		}
	}}
	c.s.Watch(&w)
	defer c.s.Unwatch(&w)
	for {
		if err := op(); !errors.Is(err, syscall.EAGAIN) {
			return err
		}
		select {
		case <-ready:
		case <-c.closed:
			return net.ErrClosed
		case <-over:
			return os.ErrDeadlineExceeded
		}
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	err = c.retry(vfs.EventsIn|vfs.EventRdHup, &c.readEnd, func() (err error) {
		n, err = c.s.Receive(context.Background(), &vfs.Packet{Data: p})
		return err
	})
	n = min(n, len(p))
	switch {
	case err != nil:
		return 0, c.failed("read", err)
	case n == 0 && c.stream && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		err := c.retry(vfs.EventsOut, &c.writeEnd, func() error {
			done, err := c.s.Send(context.Background(), &vfs.Packet{Data: p[n:]})
			n += done
			return err
		})
		switch {
		case err != nil:
			return n, c.failed("write", err)
		case n == len(p) || !c.stream:
			return n, nil
		}
	}
}

// Close implements net.Conn: who reads or writes hears net.ErrClosed.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.use.Lock()
		defer c.use.Unlock()
		c.readEnd.stop()
		c.writeEnd.stop()
		c.closeErr = c.s.Close()
		if c.afterClose != nil {
			c.afterClose()
		}
	})
	return c.closeErr
}

// CloseWrite ends what is sent, as a net.TCPConn's.
func (c *Conn) CloseWrite() error { return c.shutdown(unix.SHUT_WR) }

// CloseRead ends what is received.
func (c *Conn) CloseRead() error { return c.shutdown(unix.SHUT_RD) }

func (c *Conn) shutdown(how int) error {
	return c.using("close", func() error { return c.s.Shutdown(context.Background(), how) })
}

// Reset has Close end the connection at once, as the peer then hears (ECONNRESET).
func (c *Conn) Reset() error {
	linger := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	return c.using("set", func() error { return c.s.SetOption(context.Background(), unix.SOL_SOCKET, unix.SO_LINGER, linger) })
}

// using does op unless c is closed, whose number may be another socket's by then.
func (c *Conn) using(name string, op func() error) error {
	c.use.RLock()
	defer c.use.RUnlock()
	err := net.ErrClosed
	select {
	case <-c.closed:
	default:
		err = op()
	}
	if err != nil {
		return c.failed(name, err)
	}
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setEnd(&c.readEnd, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setEnd(&c.writeEnd, t) }

func (c *Conn) setEnd(d *deadline, t time.Time) error {
	return c.using("set", func() error {
		d.set(t)
		return nil
	})
}

// failed says what failed, as package net does.
func (c *Conn) failed(op string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: err}
}
