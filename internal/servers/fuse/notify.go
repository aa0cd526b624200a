package fuse

import "syscall"

// notified takes what the daemon says by itself. The errors are what its write
// gets: ENOENT for a node or name that nobody knows, EINVAL for nonsense.
func (fs *FS) notified(code int32, body []byte) error {
	d := decoder{b: body}
	switch code {
	case notifyPoll:
		kh := d.u64()
		if d.bad || len(d.b) != 0 {
			return syscall.EINVAL
		}
		fs.polled(kh)
		return nil
	case notifyInvalInode:
		return fs.invalInode(&d)
	case notifyInvalEntry:
		parent, size, flags := d.u64(), d.u32(), d.u32()
		return fs.invalEntry(parent, 0, int(size), flags, &d)
	case notifyDelete:
		parent, child, size := d.u64(), d.u64(), d.u32()
		d.u32()
		return fs.invalEntry(parent, child, int(size), 0, &d)
	case notifyStore:
		return fs.store(&d)
	case notifyRetrieve:
		return fs.retrieve(&d)
	case notifyResend:
		fs.conn.resend()
		return nil
	case notifyIncEpoch:
		fs.mu.Lock()
		fs.epoch++
		fs.mu.Unlock()
		return nil
	case notifyPrune:
		return fs.prune(&d)
	}
	return syscall.EINVAL
}

// invalInode: the attributes of a node are not known any more, nor the data in
// a range.
func (fs *FS) invalInode(d *decoder) error {
	id, off, count := d.u64(), int64(d.u64()), int64(d.u64())
	if d.bad || len(d.b) != 0 {
		return syscall.EINVAL
	}
	n := fs.known(id)
	if n == nil {
		return syscall.ENOENT
	}
	n.stale()
	n.mu.Lock()
	n.text = ""
	n.mu.Unlock()
	if off >= 0 {
		if count <= 0 {
			count = -1
		}
		n.dropData(off, count)
	}
	return nil
}

// invalEntry: a name leads elsewhere, or (child is set) is gone.
func (fs *FS) invalEntry(parent, child uint64, size int, flags uint32, d *decoder) error {
	name := d.b
	if d.bad || size <= 0 || size > nameMax || len(name) != size+1 || name[size] != 0 {
		return syscall.EINVAL
	}
	n := fs.known(parent)
	if n == nil {
		return syscall.ENOENT
	}
	p, ok := n.self.(*dir)
	if !ok {
		return syscall.ENOTDIR
	}
	text := string(name[:size])
	old, known, _ := p.cached(text)
	if !known {
		return syscall.ENOENT
	}
	if child != 0 && (old == nil || old.id != child) {
		return syscall.ENOENT
	}
	if flags&expireOnly != 0 {
		p.expire(text)
		return nil
	}
	p.lose(text)
	p.stale()
	return nil
}

// store puts data where a read finds it.
func (fs *FS) store(d *decoder) error {
	id, off, size := d.u64(), d.u64(), d.u32()
	d.u32()
	if d.bad || len(d.b) != int(size) || off > 1<<62 {
		return syscall.EINVAL
	}
	n := fs.known(id)
	if n == nil {
		return syscall.ENOENT
	}
	r, ok := n.self.(*regular)
	if !ok {
		return syscall.EINVAL
	}
	at, p := int64(off), d.b
	n.mu.Lock()
	if end := at + int64(len(p)); end > n.attr.Size {
		n.attr.Size = end
		n.changes++
	}
	n.mu.Unlock()
	r.data.store(fs, p, at)
	return nil
}

// store keeps data from a place on: whole pieces, or more of one that is kept.
func (d *data) store(fs *FS, p []byte, off int64) {
	for len(p) > 0 {
		from := off - off%pieceSize
		part := p[:min(int64(len(p)), from+pieceSize-off)]
		d.mu.Lock()
		d.drops++
		b := d.pieces[from]
		if int64(len(b)) >= off-from {
			b = append(make([]byte, 0, pieceSize), b...)
			if end := int(off-from) + len(part); end > len(b) {
				b = b[:end]
			}
			copy(b[off-from:], part)
			if d.pieces == nil {
				d.pieces = map[int64][]byte{}
			}
			d.pieces[from] = b
		} else {
			b = nil
		}
		d.overwrite(part, off)
		d.mu.Unlock()
		if b != nil {
			fs.keepPiece(d, from)
		}
		off += int64(len(part))
		p = p[len(part):]
	}
}

// retrieve sends back what is kept of a file.
func (fs *FS) retrieve(d *decoder) error {
	unique, id, off, size := d.u64(), d.u64(), d.u64(), d.u32()
	d.u32()
	if d.bad || len(d.b) != 0 || off > 1<<62 {
		return syscall.EINVAL
	}
	n := fs.known(id)
	if n == nil {
		return syscall.ENOENT
	}
	r, ok := n.self.(*regular)
	if !ok {
		return syscall.EINVAL
	}
	at := int64(off)
	b, _ := r.data.piece(at - at%pieceSize)
	if int64(len(b)) > at%pieceSize {
		b = b[at%pieceSize:]
	} else {
		b = nil
	}
	b = b[:min(len(b), int(size), fs.conn.maxWrite)]
	q := newRequest(opNotifyReply, id)
	q.in = q.enc().u64(0, off).u32(uint32(len(b)), 0).u64(0, 0).b
	q.data = append([]byte(nil), b...)
	fs.conn.sendAs(q, unique)
	return nil
}

// prune: the daemon wants nodes forgotten that nobody uses. Names that are only
// remembered do not count as use.
func (fs *FS) prune(d *decoder) error {
	count := d.u32()
	d.u32()
	d.u64()
	if d.bad || uint64(len(d.b)) != 8*uint64(count) {
		return syscall.EINVAL
	}
	want := map[uint64]bool{}
	for range count {
		want[d.u64()] = true
	}
	fs.mu.Lock()
	var lose []*dent
	for _, e := range fs.recent.ring {
		if e != nil && e.node != nil && want[e.node.id] {
			lose = append(lose, e)
		}
	}
	fs.mu.Unlock()
	for _, e := range lose {
		e.dir.lose(e.name)
	}
	return nil
}
