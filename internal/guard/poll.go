package guard

import (
	"context"
	"runtime/debug"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Poll asks the server, which must not wait.
func (f pollFile) Poll(mask vfs.Events) (events vfs.Events) {
	defer f.survive("poll", &events)
	return f.f.(vfs.Pollable).Poll(mask)
}

// Watch has w hear of events.
func (f pollFile) Watch(w *vfs.Waiter) {
	defer f.survive("watch", nil)
	f.f.(vfs.Pollable).Watch(w)
}

// Unwatch ends that.
func (f pollFile) Unwatch(w *vfs.Waiter) {
	defer f.survive("unwatch", nil)
	f.f.(vfs.Pollable).Unwatch(w)
}

// PollNow asks the server.
func (f askFile) PollNow(ctx context.Context, mask vfs.Events) (vfs.Events, error) {
	return perform(ctx, f.g, f.file, "poll", "", func(ctx context.Context) (vfs.Events, error) {
		return f.f.(vfs.Poller).PollNow(ctx, mask)
	}, nil)
}

// Pollable returns what to watch.
func (f askFile) Pollable() vfs.Pollable { return f.f.(vfs.Poller).Pollable() }

// survive makes a panic an error of the file.
func (f *file) survive(call string, events *vfs.Events) {
	p := recover()
	if p == nil {
		return
	}
	if events != nil {
		*events = vfs.EventErr
	}
	if f.g.log != nil {
		f.g.log.Error("server "+f.g.name+" panicked", "call", call, "panic", p, "stack", string(debug.Stack()))
	}
}

// Line returns the terminal.
func (t terminal) Line() vfs.Line { return t.f.(vfs.Terminal).Line() }

// IsMaster reports whether this is a pseudo-terminal's master.
func (t terminal) IsMaster() bool { return t.f.(vfs.Terminal).IsMaster() }

// ReadRule tells how long a read waits.
func (t terminal) ReadRule() vfs.ReadRule { return t.f.(vfs.Terminal).ReadRule() }

// OpenPeer opens the slave of a master.
func (t terminal) OpenPeer(ctx context.Context, flags int) (vfs.File, error) {
	p, ok := t.f.(vfs.PeerOpener)
	if !ok {
		return nil, syscall.ENOTTY
	}
	f, err := perform(ctx, t.g, t.file, "openpeer", "", func(ctx context.Context) (vfs.File, error) {
		return p.OpenPeer(ctx, flags)
	}, dispose)
	if err != nil {
		return nil, err
	}
	return t.g.file(f)
}
