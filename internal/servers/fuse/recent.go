package fuse

import "time"

// dent is a name in a directory as the daemon has told it. dir.mu guards it.
type dent struct {
	dir   *dir
	name  string
	node  *node // nil: there is no such name
	until time.Time
	epoch uint64
	at    int // in the ring
}

// recent keeps the names that were looked up last: the nodes of others are
// forgotten as soon as nobody uses them.
type recent struct {
	ring [2048]*dent
	next int
}

// add enters d and returns the one that has to go. FS.mu is held.
func (r *recent) add(d *dent) *dent {
	r.next = (r.next + 1) % len(r.ring)
	old := r.ring[r.next]
	r.ring[r.next], d.at = d, r.next
	return old
}

// remove takes d out. FS.mu is held.
func (r *recent) remove(d *dent) {
	if r.ring[d.at] == d {
		r.ring[d.at] = nil
	}
}

// remember notes that name leads to n, nil for nowhere, until the validity ends.
// What is valid no longer is kept, too: it tells whose attributes change with
// the name.
func (d *dir) remember(name string, n *node, valid time.Duration) {
	e := &dent{dir: d, name: name, node: n, until: until(valid)}
	d.fs.mu.Lock()
	var old *dent
	if gone := d.fs.gone; !gone {
		e.epoch = d.fs.epoch
		old = d.fs.recent.add(e)
		d.fs.mu.Unlock()
	} else {
		d.fs.mu.Unlock()
		return
	}
	if old != nil {
		old.dir.mu.Lock()
		if old.dir.names[old.name] == old {
			delete(old.dir.names, old.name)
		}
		old.dir.mu.Unlock()
		if old.node != nil {
			d.fs.evicted()
		}
	}
	d.mu.Lock()
	if d.names == nil {
		d.names = map[string]*dent{}
	}
	before := d.names[name]
	d.names[name] = e
	d.mu.Unlock()
	if n != nil {
		n.named()
	}
	if before != nil && before != old {
		d.fs.mu.Lock()
		d.fs.recent.remove(before)
		d.fs.mu.Unlock()
		if before.node != nil && before.node != n {
			before.node.unnamed()
		}
	}
}

// cached returns what is known of name, and whether it still holds.
func (d *dir) cached(name string) (n *node, known, valid bool) {
	d.fs.mu.Lock()
	epoch := d.fs.epoch
	d.fs.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.names[name]
	if e == nil {
		return nil, false, false
	}
	return e.node, true, e.epoch == epoch && !e.until.IsZero() && time.Now().Before(e.until)
}

// expire notes that name has to be looked up again.
func (d *dir) expire(name string) {
	d.mu.Lock()
	e := d.names[name]
	if e != nil {
		e.until = time.Time{}
	}
	d.mu.Unlock()
	if e != nil && e.node != nil {
		e.node.stale()
	}
}

// lose forgets name: what it led to may have lost its last user.
func (d *dir) lose(name string) {
	if n := d.detach(name); n != nil {
		n.unnamed()
	}
}

// detach forgets name, and that the attributes of what it led to are known. It
// returns that.
func (d *dir) detach(name string) *node {
	d.mu.Lock()
	e := d.names[name]
	delete(d.names, name)
	d.mu.Unlock()
	if e == nil {
		return nil
	}
	d.fs.mu.Lock()
	d.fs.recent.remove(e)
	d.fs.mu.Unlock()
	if e.node == nil {
		return nil
	}
	e.node.stale()
	return e.node
}
