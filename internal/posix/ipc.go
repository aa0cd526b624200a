package posix

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ipcWaiter is a thread that waits for an object of System V or a message queue.
// Whoever does its work for it sets done and err, with the object's lock held,
// and wakes it: an interruption that comes later does not undo that.
type ipcWaiter struct {
	t    *Task
	done bool
	err  error
}

// finish ends the wait.
func (w *ipcWaiter) finish(err error) {
	w.done, w.err = true, err
	w.t.wakeUp()
}

// await waits until the work is done. Any other error than errTimeout and the
// interruptions is the work's own. mu is held, and released meanwhile.
func (w *ipcWaiter) await(mu *sync.Mutex, deadline time.Time) error {
	for !w.done {
		mu.Unlock()
		err := w.t.sleep(deadline)
		mu.Lock()
		if err != nil && !w.done {
			return err
		}
	}
	return w.err
}

// without removes one waiter.
func without[W comparable](list []W, w W) []W {
	if i := slices.Index(list, w); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// procIPC is /proc/sysvipc.
func (k *Kernel) procIPC(name string) []byte {
	var b strings.Builder
	switch name {
	case "sem":
		s := &k.sem
		s.mu.Lock()
		defer s.mu.Unlock()
		b.WriteString("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n")
		for _, id := range slices.Sorted(maps.Keys(s.sets)) {
			g := s.sets[id]
			fmt.Fprintf(&b, "%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n",
				int32(g.key), id, g.mode, len(g.sems), g.uid, g.gid, g.cuid, g.cgid, g.otime, g.ctime)
		}
	case "msg":
		s := &k.msg
		s.mu.Lock()
		defer s.mu.Unlock()
		b.WriteString("       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n")
		for _, id := range slices.Sorted(maps.Keys(s.queues)) {
			q := s.queues[id]
			fmt.Fprintf(&b, "%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n",
				int32(q.key), id, q.mode, q.bytes, len(q.messages), q.lastSend, q.lastReceive,
				q.uid, q.gid, q.cuid, q.cgid, q.stime, q.rtime, q.ctime)
		}
	case "shm":
		s := &k.shm
		s.mu.Lock()
		defer s.mu.Unlock()
		b.WriteString("       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n")
		for _, id := range slices.Sorted(maps.Keys(s.segs)) {
			g := s.segs[id]
			mode := g.mode
			if g.removed {
				mode |= shmDest
			}
			fmt.Fprintf(&b, "%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n",
				int32(g.key), id, mode, g.size, g.creator, g.last, g.attached,
				g.uid, g.gid, g.cuid, g.cgid, g.atime, g.dtime, g.ctime, 0, 0)
		}
	}
	return []byte(b.String())
}
