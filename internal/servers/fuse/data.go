package fuse

import (
	"context"
	"os"
	"sync"
)

// data is what is kept of a file's contents: pieces that were read, and a memory
// object once it was mapped. Writes go through to the daemon, and to both.
type data struct {
	appending ctxLock // held while O_APPEND writes
	mapping   ctxLock // held while mem is filled
	moving    ctxLock // held while live data goes to the daemon or comes from it; after mapping

	mu     sync.Mutex // guards the rest
	pieces map[int64][]byte
	drops  uint64   // grows when what an answer under way brings is old
	mem    *os.File // to write to
	ro     *os.File // the same, as guests get it
	full   bool     // mem holds the whole file as it is
	live   live     // while guests may store through shared maps
}

const (
	pieceSize  = 128 << 10
	keptPieces = 256
	keptMaps   = 64
)

// pieceRef names a piece that is kept.
type pieceRef struct {
	d  *data
	at int64
}

// kept are the pieces and mapped files that were used last. FS.mu guards it.
type kept struct {
	pieces         [keptPieces]pieceRef
	maps           [keptMaps]*data
	piece, mapping int
}

// keepPiece enters a piece and drops the one that has to go.
func (fs *FS) keepPiece(d *data, at int64) {
	fs.mu.Lock()
	k := &fs.kept
	k.piece = (k.piece + 1) % keptPieces
	old := k.pieces[k.piece]
	k.pieces[k.piece] = pieceRef{d, at}
	fs.mu.Unlock()
	if old.d != nil && (old.d != d || old.at != at) {
		old.d.mu.Lock()
		delete(old.d.pieces, old.at)
		old.d.mu.Unlock()
	}
}

// keepMap does the same for a mapped file. What has it mapped keeps its pages.
func (fs *FS) keepMap(d *data) {
	fs.mu.Lock()
	k := &fs.kept
	k.mapping = (k.mapping + 1) % keptMaps
	old := k.maps[k.mapping]
	k.maps[k.mapping] = d
	fs.mu.Unlock()
	if old != nil && old != d {
		old.mu.Lock()
		var mem, ro *os.File
		if !old.live.on.Load() { // else it is kept again when it is no more
			mem, ro = old.mem, old.ro
			old.mem, old.ro, old.full = nil, nil, false
		}
		old.mu.Unlock()
		closeBoth(mem, ro)
	}
}

func closeBoth(mem, ro *os.File) {
	if mem != nil {
		mem.Close()
		ro.Close()
	}
}

// dropData forgets n bytes from off on; all from there with n < 0.
func (n *node) dropData(off, count int64) {
	r, ok := n.self.(*regular)
	if !ok {
		return
	}
	d := &r.data
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drops++
	d.full = false
	for at := range d.pieces {
		if at+pieceSize > off && (count < 0 || at < off+count) {
			delete(d.pieces, at)
		}
	}
	d.askAgain()
}

// wrote notes what the daemon has taken.
func (n *node) wrote(p []byte, off int64) {
	r, ok := n.self.(*regular)
	if !ok || len(p) == 0 {
		return
	}
	d := &r.data
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drops++
	for at := off - off%pieceSize; at < off+int64(len(p)); at += pieceSize {
		delete(d.pieces, at)
	}
	d.live.mine = true
	d.overwrite(p, off)
}

// overwrite puts what the daemon has got into the memory object. d.mu is held.
func (d *data) overwrite(p []byte, off int64) {
	if d.mem == nil {
		return
	}
	var err error
	if d.live.on.Load() {
		err = d.put(p, off, false)
	} else {
		_, err = d.mem.WriteAt(p, off)
	}
	if err != nil {
		d.full = false
	}
}

// truncated notes a new size.
func (n *node) truncated(size int64) {
	r, ok := n.self.(*regular)
	if !ok {
		return
	}
	d := &r.data
	if !d.live.on.Load() {
		n.dropData(max(0, size-1), -1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.live.on.Load():
		d.drops++
		clear(d.pieces)
		d.live.mine = true
		if d.resize(size) != nil {
			d.full = false
		}
	case d.mem != nil && size <= mostMapped:
		_ = d.mem.Truncate(size) // it is filled anew in any case
	}
}

// changed notes attributes of the daemon's that differ from those it told last.
func (n *node) changed(size int64) {
	r, ok := n.self.(*regular)
	if !ok {
		return
	}
	if d := &r.data; d.live.on.Load() {
		d.mu.Lock()
		expected := d.live.mine && d.live.size == size
		d.live.mine = false
		other := d.live.size != size
		d.mu.Unlock()
		if expected || !other && !n.fs.has(initAutoInval) {
			return
		}
	} else if !n.fs.has(initAutoInval) {
		return
	}
	n.dropData(0, -1)
}

// sizeFor returns the file's size, for a read up to end.
func (n *node) sizeFor(ctx context.Context, end int64) (int64, error) {
	if !n.fs.has(initAutoInval) {
		n.mu.Lock()
		size := n.attr.Size
		n.mu.Unlock()
		if end <= size {
			return size, nil
		}
	}
	a, err := n.Stat(ctx)
	return a.Size, err
}

// readCached reads from what is kept, and asks for what is not.
func (f *file) readCached(ctx context.Context, p []byte, off int64) (int, error) {
	r, ok := f.n.self.(*regular)
	if !ok {
		return f.readDirect(ctx, p, off)
	}
	if r.data.live.on.Load() {
		return f.readLive(ctx, r, p, off)
	}
	size, err := f.n.sizeFor(ctx, off+int64(len(p)))
	if err != nil || off >= size {
		return 0, err
	}
	p = p[:min(int64(len(p)), size-off)]
	done := 0
	for done < len(p) {
		at := off + int64(done)
		from := at - at%pieceSize
		b, drops := r.data.piece(from)
		if b == nil && at == from && len(p)-done >= pieceSize {
			// A large read goes where it is wanted, up to what is kept.
			want := pieceSize
			for len(p)-done-want >= pieceSize && !r.data.keeps(from+int64(want)) {
				want += pieceSize
			}
			n, err := f.readDirect(ctx, p[done:done+want], at)
			done += n
			if err != nil && done == 0 {
				return 0, err
			}
			if err != nil || n < want {
				return done, nil
			}
			continue
		}
		if b == nil {
			want := min(pieceSize, (size-from+pageSize-1)&^(pageSize-1))
			b = make([]byte, want)
			n, err := f.readDirect(ctx, b, from)
			if err != nil {
				if done > 0 {
					return done, nil
				}
				return 0, err
			}
			b = b[:n]
			f.n.fs.keep(&r.data, from, b, drops)
		}
		n := 0
		if int64(len(b)) > at-from {
			n = copy(p[done:], b[at-from:])
		}
		done += n
		if n == 0 || len(b) < pieceSize {
			return done, nil
		}
	}
	return done, nil
}

// piece returns what is kept from at on, and the drops up to now.
func (d *data) piece(at int64) ([]byte, uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pieces[at], d.drops
}

func (d *data) keeps(at int64) bool {
	b, _ := d.piece(at)
	return b != nil
}

// keep keeps a piece, unless something was dropped since it was asked for.
func (fs *FS) keep(d *data, at int64, b []byte, drops uint64) {
	d.mu.Lock()
	fresh := d.drops == drops && len(b) > 0
	if fresh {
		if d.pieces == nil {
			d.pieces = map[int64][]byte{}
		}
		d.pieces[at] = b
	}
	d.mu.Unlock()
	if fresh {
		fs.keepPiece(d, at)
	}
}
