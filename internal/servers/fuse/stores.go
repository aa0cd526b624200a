package fuse

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// writeCache marks a WRITE whose data comes from a map, not from write(2).
const writeCache = 1 << 0

// stores is a shared map that can be written: vfs.Stores. The daemon hears of
// what was stored at munmap, msync, fsync, close and the end of the process, and
// before anything that it does with the data by itself.
//
// Requests that write back belong to nobody: once begun they go on when who
// waits for them is killed, and end with the connection at the latest.
type stores struct {
	r    *regular
	f    *file
	done atomic.Bool
}

// mapLive is Map for shared maps that can be written. d.mapping is held.
func (f *file) mapLive(ctx context.Context, r *regular) (vfs.Mapping, error) {
	d := &r.data
	if err := d.moving.lock(ctx); err != nil {
		return vfs.Mapping{}, err
	}
	s := &stores{r: r, f: f.use()}
	d.mu.Lock()
	err := d.begin()
	if err == nil {
		d.live.maps[s] = struct{}{}
		if f.direct() {
			d.full = false
		}
	}
	d.mu.Unlock()
	if err != nil {
		d.moving.unlock()
		f.drop()
		return vfs.Mapping{}, err
	}
	err = f.refresh(ctx, d)
	d.moving.unlock()
	var m vfs.Mapping
	if err == nil {
		m, err = d.mapped(true)
	}
	if err != nil {
		s.Close()
		return vfs.Mapping{}, err
	}
	m.Stores = s
	return m, nil
}

// WriteBack has what was stored reach the daemon.
func (s *stores) WriteBack(ctx context.Context, off, n int64) error {
	return s.r.data.writeBack(ctx, off, n)
}

// Sync also has the daemon keep it.
func (s *stores) Sync(ctx context.Context, off, n int64) error {
	if err := s.r.data.writeBack(ctx, off, n); err != nil {
		return err
	}
	if err := s.f.failed(); err != nil {
		return err
	}
	return s.f.n.sync(ctx, opFsync, s.f.fh, true)
}

// Close ends the map. With the last one what is not written back will be.
func (s *stores) Close() {
	if s.done.Swap(true) {
		return
	}
	d, fs := &s.r.data, s.f.n.fs
	d.mu.Lock()
	delete(d.live.maps, s)
	last := len(d.live.maps) == 0
	d.mu.Unlock()
	if !last {
		s.f.drop()
		return
	}
	fs.busy()
	if d.moving.tryLock() {
		var buf []byte
		if run, at := d.next(&buf, s.f, 0, math.MaxInt64); len(run) == 0 {
			s.leave()
		} else {
			go func() {
				d.push(s.f, buf, run, at, math.MaxInt64)
				s.leave()
			}()
		}
		return
	}
	go func() {
		_ = d.moving.lock(context.Background()) // who has it ends with the daemon
		d.push(s.f, nil, nil, 0, math.MaxInt64)
		d.setLeft(false)
		s.leave()
	}()
}

// leave ends what is live, unless there is a new map. d.moving is held and given
// back.
func (s *stores) leave() {
	d, fs := &s.r.data, s.f.n.fs
	d.mu.Lock()
	d.live.left = false
	ended := len(d.live.maps) == 0 && d.live.on.Load()
	if ended {
		d.live.on.Store(false)
		d.live.sums, d.live.page, d.live.maps = nil, nil, nil
	}
	d.mu.Unlock()
	d.moving.unlock()
	if ended {
		fs.keepMap(d)
	}
	s.f.drop()
	fs.idle()
}

// writeBack writes back what was stored in n bytes from off on, all with n < 0,
// and waits for it. Only the end of the caller ends that wait: it is in doubt
// then. How the daemon has liked it is for failed to say.
func (d *data) writeBack(ctx context.Context, off, n int64) error {
	if !d.live.on.Load() {
		return nil
	}
	end := int64(math.MaxInt64)
	if n >= 0 && off <= math.MaxInt64-n {
		end = off + n
	}
	if err := d.moving.lockPatiently(ctx); err != nil {
		d.setLeft(true)
		return err
	}
	d.mu.Lock()
	s := d.someMap()
	d.mu.Unlock()
	if s == nil { // the last one is about to be written back
		d.moving.unlock()
		return nil
	}
	var buf []byte
	run, at := d.next(&buf, s.f, off, end)
	if len(run) == 0 {
		d.moving.unlock()
		return nil
	}
	f, done := s.f.use(), make(chan struct{})
	go func() {
		d.push(f, buf, run, at, end)
		d.setLeft(false)
		d.moving.unlock()
		f.drop()
		close(done)
	}()
	err := patiently(ctx, done)
	if err != nil {
		d.mu.Lock()
		select {
		case <-done:
		default:
			d.live.left = true
		}
		d.mu.Unlock()
	}
	return err
}

func (d *data) setLeft(left bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live.left = left
}

// next is take with a buffer.
func (d *data) next(buf *[]byte, f *file, off, end int64) ([]byte, int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.live.on.Load() {
		return nil, 0
	}
	if *buf == nil {
		*buf = make([]byte, min(max(pageSize, int64(f.n.fs.conn.maxWrite)&^(pageSize-1)), (d.live.size+pageSize-1)&^(pageSize-1)))
	}
	return d.take(*buf, off, end)
}

// push writes a run, and all others up to end. d.moving is held.
func (d *data) push(f *file, buf, run []byte, at, end int64) {
	if run == nil {
		run, at = d.next(&buf, f, 0, end)
	}
	for len(run) > 0 {
		n, err := f.writeRequest(context.Background(), run, at, writeCache)
		if err == nil && n < len(run) {
			err = syscall.EIO
		}
		f.n.stale()
		d.mu.Lock()
		d.live.mine = true
		if err != nil {
			d.fail(err)
		}
		d.mu.Unlock()
		run, at = d.next(&buf, f, at+int64(len(run)), end)
	}
}

// fail notes that a write-back has failed. As on Linux it is not tried again:
// each open file's fsync and msync, and one close, tell of it. d.mu is held.
func (d *data) fail(err error) {
	var e syscall.Errno
	if !errors.As(err, &e) {
		e = syscall.EIO
	}
	d.live.errors++
	d.live.err = e
	if d.live.untold != syscall.ENOSPC {
		d.live.untold = syscall.EIO
	}
	if e == syscall.ENOSPC {
		d.live.untold = e
	}
}

// failed returns how a write-back has failed since the file was opened or was
// told last.
func (f *file) failed() error {
	r, ok := f.n.self.(*regular)
	if !ok {
		return nil
	}
	r.data.mu.Lock()
	defer r.data.mu.Unlock()
	r.data.live.untold = nil
	if f.errors == r.data.live.errors {
		return nil
	}
	f.errors = r.data.live.errors
	return r.data.live.err
}

// flush is what close(2) does: what was stored is written back, and who closes
// first hears of a failure.
func (d *data) flush(ctx context.Context) error {
	if err := d.writeBack(ctx, 0, -1); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.live.untold
	d.live.untold = nil
	return err
}

// settle writes back all that was stored in the file.
func (n *node) settle(ctx context.Context) error {
	if r, ok := n.self.(*regular); ok {
		return r.data.writeBack(ctx, 0, -1)
	}
	return nil
}

// hold keeps what is live from moving while the daemon is asked to change the
// data; release is to be called then.
func (n *node) hold(ctx context.Context) (release func(), err error) {
	r, ok := n.self.(*regular)
	if !ok || !r.data.live.on.Load() {
		return func() {}, nil
	}
	if err := r.data.moving.lock(ctx); err != nil {
		return nil, err
	}
	return r.data.moving.unlock, nil
}

// patiently waits until done is closed or ctx ends for good.
func patiently(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	if final := vfs.Final(ctx); final != nil && vfs.Interrupted(context.Cause(ctx)) {
		select {
		case <-done:
			return nil
		case <-final:
		}
	}
	return vfs.ErrInDoubt
}
