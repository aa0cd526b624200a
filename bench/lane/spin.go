package main

import (
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// spinTime is how long a receiver looks before it sleeps.
const spinTime = 100 * time.Microsecond

// spinner is a socket whose reader looks again and again before it sleeps.
type spinner int

func (s spinner) Read(p []byte) (int, error) {
	for begin := time.Now(); ; {
		n, err := unix.Read(int(s), p)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case err != unix.EAGAIN && err != unix.EINTR:
			return 0, err
		}
		if time.Since(begin) > spinTime {
			if err := s.wait(unix.POLLIN); err != nil {
				return 0, err
			}
		}
	}
}

func (s spinner) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n, err := unix.Write(int(s), p[done:])
		if err == unix.EAGAIN {
			err = s.wait(unix.POLLOUT)
		}
		if err != nil && err != unix.EINTR {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

func (s spinner) wait(events int16) error {
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(s), Events: events}}, -1)
	if err == unix.EINTR {
		return nil
	}
	return err
}

// spinnerOf takes a connection's socket.
func spinnerOf(c net.Conn) (spinner, error) {
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	if e := raw.Control(func(f uintptr) { fd, err = unix.FcntlInt(f, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		err = e
	}
	return spinner(fd), err
}

func serveSpin(path string) error {
	return acceptConns(path, func(c net.Conn) {
		if s, err := spinnerOf(c); err == nil {
			answerStream(s, s)
		}
	})
}

func viaSpin(path string, n int) (func() error, func(), error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, nil, err
	}
	s, err := spinnerOf(c)
	if err != nil {
		return nil, nil, err
	}
	return viaStream(s, s, n), func() { unix.Close(int(s)) }, nil
}
