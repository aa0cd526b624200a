package fuse

import (
	"runtime"
	"sync"
	"time"
)

// A node that nobody uses is to be forgotten soon: daemons keep files of their
// own for it, and some wait for that. Who uses a node only Go's collector knows:
// open files, working directories, watches, calls under way. So the collector is
// run when there is likely to be such a node, a small part of the time at most.

// unnamed notes that a name no longer leads to n.
func (n *node) unnamed() {
	n.mu.Lock()
	n.nameless = true
	n.mu.Unlock()
	n.maybeUnused()
}

// named notes that a name leads to n.
func (n *node) named() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nameless = false
}

// maybeUnused has n forgotten if it has lost a name and is not open.
func (n *node) maybeUnused() {
	n.mu.Lock()
	used := len(n.opens) != 0 || !n.nameless
	n.mu.Unlock()
	if used {
		return
	}
	if r, ok := n.self.(*regular); ok {
		n.fs.unkeep(&r.data)
	}
	collect.want()
}

// unkeep drops what is kept of a file's contents.
func (fs *FS) unkeep(d *data) {
	fs.mu.Lock()
	k := &fs.kept
	for i := range k.pieces {
		if k.pieces[i].d == d {
			k.pieces[i] = pieceRef{}
		}
	}
	for i := range k.maps {
		if k.maps[i] == d {
			k.maps[i] = nil
		}
	}
	fs.mu.Unlock()
	d.mu.Lock()
	clear(d.pieces)
	d.mu.Unlock()
}

// mostEvicted is how many nodes of names that were not looked up lately may wait
// for the collector.
const mostEvicted = 4096

// evicted counts a name that is no more remembered.
func (fs *FS) evicted() {
	if fs.evictions.Add(1)%mostEvicted == 0 {
		collect.want()
	}
}

// collector runs Go's collector when it is wanted.
type collector struct {
	mu             sync.Mutex
	running, again bool
}

var collect collector

// share is how much of the time it may run: one part in so many.
const share = 40

// want has nodes that are unused now found soon. It does not wait.
func (c *collector) want() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.again = true
	if !c.running {
		c.running = true
		go c.run()
	}
}

func (c *collector) run() {
	for {
		c.mu.Lock()
		if !c.again {
			c.running = false
			c.mu.Unlock()
			return
		}
		c.again = false
		c.mu.Unlock()
		begin := time.Now()
		runtime.GC()
		timer := time.NewTimer(share * time.Since(begin))
		<-timer.C
	}
}
