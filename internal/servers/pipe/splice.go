package pipe

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Splice moves up to n bytes from the pipe of r to the pipe of w, by moving
// pages (splice(2)). 0 without an error is the end of the input. EINVAL when
// both are the same pipe, EAGAIN when the input is empty or the output full,
// EPIPE when the output has no reader, EBADF when the ends are the wrong ones.
func Splice(w, r *End, n int) (int, error) { return link(w, r, n, false) }

// Tee copies up to n bytes from the pipe of r to the pipe of w, by sharing
// pages; the input keeps them (tee(2)). Errors are Splice's.
func Tee(w, r *End, n int) (int, error) { return link(w, r, n, true) }

func link(w, r *End, n int, keep bool) (int, error) {
	if !r.read || !w.write {
		return 0, syscall.EBADF
	}
	in, out := r.pipe, w.pipe
	if in == out {
		return 0, syscall.EINVAL
	}
	if n <= 0 {
		return 0, nil
	}
	a, b := in, out
	if a.id > b.id {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	moved, freed, err := linkLocked(out, in, n, keep)
	b.mu.Unlock()
	a.mu.Unlock()
	if moved > 0 {
		out.queue.Notify(vfs.EventsIn)
	}
	if freed {
		in.queue.Notify(vfs.EventsOut)
	}
	return moved, err
}

func linkLocked(out, in *pipe, n int, keep bool) (moved int, freed bool, err error) {
	switch {
	case in.host != nil || out.host != nil:
		return 0, false, syscall.EOPNOTSUPP // see Unhost
	case in.draining || in.slots.len() == 0 && in.writers != 0:
		return 0, false, syscall.EAGAIN
	case out.readers == 0:
		return 0, false, syscall.EPIPE
	case out.full():
		return 0, false, syscall.EAGAIN
	}
	full := in.full()
	for i := in.slots.tail; moved < n && in.slots.len() != 0 && i != in.slots.head && !out.full(); i++ {
		s := in.slots.at(i)
		c := min(int(s.len), n-moved)
		switch {
		case keep:
			out.slots.push(s.share(c))
		case c == int(s.len):
			out.slots.push(in.slots.pop())
		default:
			out.slots.push(s.share(c))
			in.slots.consume(c)
		}
		moved += c
	}
	return moved, full && !in.full(), nil
}

// Drain takes up to n bytes out of the pipe through f, page by page and without
// copying: what f says it took is gone, the rest stays, also when f fails. f
// runs without a lock and may wait; other readers get EAGAIN meanwhile. It
// must not keep the slice. Drain ends when f takes less than it was given or
// the pipe is empty. It returns f's error when nothing was taken; otherwise
// errors are Read's.
func (e *End) Drain(n int, f func([]byte) (int, error)) (int, error) {
	if !e.read {
		return 0, syscall.EBADF
	}
	if n <= 0 {
		return 0, nil
	}
	p := e.pipe
	p.mu.Lock()
	if p.host != nil {
		p.mu.Unlock()
		return 0, syscall.EOPNOTSUPP // see Unhost
	}
	if !p.readable() {
		eof := !p.draining && p.writers == 0
		p.mu.Unlock()
		if eof {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	p.draining = true
	var done int
	var err error
	for done < n && p.slots.len() != 0 {
		b := p.slots.front().bytes()
		b = b[:min(len(b), n-done)]
		p.mu.Unlock()
		var c int
		c, err = f(b)
		p.mu.Lock()
		full := p.full() // only now: a writer may have filled the pipe meanwhile
		if c = min(max(c, 0), len(b)); c > 0 {
			p.slots.consume(c)
			done += c
			if full && !p.full() {
				p.queue.Notify(vfs.EventsOut)
			}
		}
		if c < len(b) || err != nil {
			break
		}
	}
	p.draining = false
	more := p.slots.len() != 0 || p.writers == 0
	p.mu.Unlock()
	if more {
		p.queue.Notify(vfs.EventsIn)
	}
	if done > 0 {
		return done, nil
	}
	return 0, err
}

// Fill puts up to n bytes into the pipe that f reads into its pages. f runs
// without a lock and may wait; room is reserved for what it brings. It must not
// keep the slice. Fill ends when f brings less than it was asked for or the
// pipe is full. It returns f's error when nothing came; otherwise errors are
// Write's.
func (e *End) Fill(n int, f func([]byte) (int, error)) (int, error) {
	if !e.write {
		return 0, syscall.EBADF
	}
	p := e.pipe
	var done int
	for done < n {
		p.mu.Lock()
		err := error(nil)
		switch {
		case p.host != nil:
			err = syscall.EOPNOTSUPP // see Unhost
		case p.readers == 0:
			err = syscall.EPIPE
		case p.full():
			err = syscall.EAGAIN
		default:
			p.reserved++
		}
		p.mu.Unlock()
		if err != nil {
			return done, unless(done, err)
		}
		pg := getPage()
		want := min(n-done, pageSize)
		c, err := f(pg[:want])
		c = min(max(c, 0), want)
		p.mu.Lock()
		p.reserved--
		if c > 0 {
			p.slots.push(slot{page: pg, len: uint16(c)})
		}
		p.mu.Unlock()
		if c > 0 {
			done += c
			p.queue.Notify(vfs.EventsIn)
		} else {
			pages.Put(pg)
			p.queue.Notify(vfs.EventsOut)
		}
		if c < want || err != nil {
			return done, unless(done, err)
		}
	}
	return done, nil
}

// Room returns how many bytes fit into the pipe at least.
func (e *End) Room() int {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, int(p.max)-int(p.slots.len())-int(p.reserved)) * pageSize
}

// unless drops err when there is a result to tell instead.
func unless(n int, err error) error {
	if n > 0 {
		return nil
	}
	return err
}
