package fuse

import (
	"context"

	"github.com/hati-os/hati/vfs"
)

// A daemon's file is not pollable as package vfs has it: reading and writing
// wait at the daemon. But poll(2) can ask it (POLL), and it tells when something
// may have changed (NOTIFY_POLL).

// pollState is what is known of a file's readiness. file.mu guards it.
type pollState struct {
	kh     uint64 // 0: never asked
	asking bool   // a POLL is under way that nobody waits for
	again  bool   // and something may have changed since it began
	fresh  bool   // events are the answer to a question just asked
	events vfs.Events
}

const always = vfs.EventsIn | vfs.EventsOut

// PollNow asks the daemon.
func (f *file) PollNow(ctx context.Context, mask vfs.Events) (vfs.Events, error) {
	if f.n.fs.conn.lacks[opPoll].Load() {
		return mask & always, nil
	}
	r := f.pollRequest(mask)
	if err := f.n.fs.conn.call(ctx, r); err != nil {
		if context.Cause(ctx) != nil {
			return 0, err
		}
		if f.n.fs.conn.lacks[opPoll].Load() {
			return mask & always, nil
		}
		return vfs.EventErr, nil
	}
	d := decoder{b: r.body}
	got := vfs.Events(d.u32())
	if d.bad {
		return 0, f.n.fs.bad(opPoll)
	}
	r.free()
	f.mu.Lock()
	f.poll.events, f.poll.fresh = got, true
	f.mu.Unlock()
	return got & (mask | vfs.EventErr | vfs.EventHup), nil
}

// pollRequest is a POLL, with a notification to follow.
func (f *file) pollRequest(mask vfs.Events) *request {
	f.mu.Lock()
	kh := f.poll.kh
	f.mu.Unlock()
	if kh == 0 {
		fs := f.n.fs
		fs.mu.Lock()
		fs.lastKH++
		kh = fs.lastKH
		fs.files[kh] = f
		fs.mu.Unlock()
		f.mu.Lock()
		f.poll.kh = kh
		f.mu.Unlock()
	}
	r := newRequest(opPoll, f.n.id)
	r.in = r.enc().u64(f.fh, kh).u32(pollSchedule, uint32(mask)).b
	r.max = 8
	return r
}

// unpoll ends that the file is known by its kh.
func (f *file) unpoll() {
	f.mu.Lock()
	kh := f.poll.kh
	f.mu.Unlock()
	if kh != 0 {
		f.n.fs.mu.Lock()
		delete(f.n.fs.files, kh)
		f.n.fs.mu.Unlock()
	}
}

// polled is NOTIFY_POLL.
func (fs *FS) polled(kh uint64) {
	fs.mu.Lock()
	f := fs.files[kh]
	fs.mu.Unlock()
	if f != nil {
		f.mu.Lock()
		f.poll.fresh = false
		f.mu.Unlock()
		f.ask()
	}
}

// ask sends a POLL whose answer wakes those who watch.
func (f *file) ask() {
	f.mu.Lock()
	if f.poll.asking {
		f.poll.again = true
		f.mu.Unlock()
		return
	}
	f.poll.asking = true
	f.mu.Unlock()
	r := f.pollRequest(^vfs.Events(0) >> 16)
	r.late = func(body []byte, err error) {
		got := vfs.EventErr
		switch d := (decoder{b: body}); {
		case f.n.fs.conn.lacks[opPoll].Load():
			got = always
		case err == nil:
			got = vfs.Events(d.u32())
		}
		f.mu.Lock()
		changed := got &^ f.poll.events
		again := f.poll.again
		f.poll.events, f.poll.asking, f.poll.again = got, false, false
		f.poll.fresh = true
		f.mu.Unlock()
		if changed != 0 {
			f.queue.Notify(changed)
		}
		if again {
			f.ask()
		}
	}
	f.n.fs.conn.send(r)
}

// Pollable returns what to watch; nil when the file is always ready.
func (f *file) Pollable() vfs.Pollable {
	if f.n.fs.conn.lacks[opPoll].Load() {
		return nil
	}
	return (*watched)(f)
}

// watched is a file as those see it who wait for it.
type watched file

// Poll returns what the daemon has said last, and asks again unless that was
// just now.
func (w *watched) Poll(mask vfs.Events) vfs.Events {
	f := (*file)(w)
	if f.n.fs.conn.lost.Load() {
		return vfs.EventErr
	}
	f.mu.Lock()
	got, fresh := f.poll.events, f.poll.fresh
	f.poll.fresh = false
	f.mu.Unlock()
	if !fresh {
		f.ask()
	}
	return got & (mask | vfs.EventErr | vfs.EventHup)
}

func (w *watched) Watch(v *vfs.Waiter)   { (*file)(w).queue.Watch(v) }
func (w *watched) Unwatch(v *vfs.Waiter) { (*file)(w).queue.Unwatch(v) }
