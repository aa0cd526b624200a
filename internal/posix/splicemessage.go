package posix

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Splicing to and from a file that moves messages (/dev/fuse): one message, as a
// whole.

// isMessenger reports whether d's file moves messages.
func isMessenger(d *Description) bool {
	m, ok := d.file.(vfs.Messenger)
	return ok && m.Message()
}

// messageToPipe puts one message into a pipe, which must have room for it.
func (t *Task) messageToPipe(s *splicePair, n int) (uint64, error) {
	for {
		room := s.outPipe.Room()
		if room == 0 {
			if s.nonblock || s.out.nonblocking() {
				return 0, syscall.EAGAIN
			}
			if err := t.await(s.outPipe, vfs.EventsOut, noDeadline); err != nil {
				return 0, err
			}
			continue
		}
		buf := t.buffer(min(n, room, chunkDatagram))
		m, err := vfs.Read(t.context(), s.in.file, buf, 0)
		if errnoOf(err) == syscall.EAGAIN && !s.nonblock && !s.in.nonblocking() {
			if err := t.await(s.in.file, vfs.EventsIn, noDeadline); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, err
		}
		rest := buf[:m]
		done, err := s.outPipe.Fill(m, func(p []byte) (int, error) {
			c := copy(p, rest)
			rest = rest[c:]
			return c, nil
		})
		return uint64(done), t.brokenPipe(err)
	}
}

// messageFromPipe writes what the pipe has, up to n bytes, as one message.
func (t *Task) messageFromPipe(s *splicePair, n int) (uint64, error) {
	buf := t.buffer(min(n, chunkDatagram))[:0]
	for {
		_, err := s.inPipe.Drain(cap(buf), func(p []byte) (int, error) {
			c := min(len(p), cap(buf)-len(buf))
			buf = append(buf, p[:c]...)
			return c, nil
		})
		if err == syscall.EAGAIN && !s.nonblock {
			if err := t.await(s.inPipe, vfs.EventsIn, noDeadline); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil || len(buf) == 0 {
			return 0, err
		}
		m, err := vfs.Write(t.context(), s.out.file, buf, 0)
		return uint64(m), err
	}
}
