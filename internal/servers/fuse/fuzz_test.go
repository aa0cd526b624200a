package fuse

import (
	"context"
	"testing"
	"time"

	"github.com/hati-os/hati/vfs"
)

// FuzzAnswer has a daemon say anything: first to each operation, then by itself,
// and in pieces. Nothing may panic, and every call ends when its caller is killed.
func FuzzAnswer(f *testing.F) {
	for i := range operations {
		f.Add(byte(i), make([]byte, 144), []byte{16, 0, 0, 0, 2, 0, 0, 0})
		f.Add(byte(i), fill(0x41, 40), header(56, notifyInvalInode, 0))
	}
	f.Add(byte(0), append(append([]byte{2, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 96)...), fill(0x44, 24)...), header(16, notifyStore, 0))
	f.Fuzz(func(t *testing.T, op byte, body, message []byte) {
		answer := func(q *question) bool { q.reply(nil, body); return true }
		s := newScene(t, answer)
		s.d.t = quiet{t}
		o := &operations[int(op)%len(operations)]
		s.op.Store(o.op)
		// A daemon may just hang: then the caller is killed.
		ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, vfs.ErrKilled)
		defer cancel()
		_ = o.do(s, ctx) // any result
		_, _ = s.d.s.Write(message)
		if len(message) > 0 {
			s.op.Store(0)
			_, _ = vfs.Read(ctx, s.open, make([]byte, 8), 0)
		}
	})
}

// quiet is for daemons that are told nonsense to say: their own complaints do not
// count.
type quiet struct{ testing.TB }

func (quiet) Errorf(string, ...any) {}
