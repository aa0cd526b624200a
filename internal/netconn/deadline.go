package netconn

import (
	"sync"
	"time"
)

// deadline is a time after which a channel is closed.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ended chan struct{}
}

// over returns the channel. Who waits on it hears of a later set as well.
func (d *deadline) over() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *deadline) channel() chan struct{} {
	if d.ended == nil {
		d.ended = make(chan struct{})
	}
	return d.ended
}

// set changes the time; none with the zero Time.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.halt()
	ended := d.channel()
	select {
	case <-ended:
		d.ended = nil
		ended = d.channel()
	default:
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		close(ended)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timer == timer { // else it was changed meanwhile
			close(ended)
			d.timer = nil
		}
	})
	d.timer = timer
}

func (d *deadline) halt() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// stop ends the timer.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.halt()
}
