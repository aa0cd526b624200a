package posix

import (
	"sync"
	"sync/atomic"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"golang.org/x/sys/unix"
)

// A guest process that reads or writes a file often is granted the host file behind
// it, if the server lends it: its stub then asks nobody any more. See machine's
// grant.go for what the stub does, and lent.go for the file.
//
// Nothing is granted while it would hide something from the server: when calls are
// traced or somebody watches files (inotify), and for writing while the size of
// files is limited. What begins later takes all grants back (revokeGrants).

// grantAfter is how many transfers a description must have seen; giving its file to
// a process costs as much as some of them.
const grantAfter = 16

// grants are the numbers of one descriptor table whose host files a process uses
// by itself. There are some only as long as all users of the table are threads of
// that process.
type grants struct {
	k     *Kernel
	space *machine.Space

	stale   atomic.Bool  // closing is not empty
	streams atomic.Bool  // there is, or was, something among lent that others wait for
	count   atomic.Int32 // of lent

	mu      sync.Mutex // guards the rest; taken after FDTable.mu, before the space's lock
	lent    map[int]*lentFile
	closing []int // numbers whose host descriptors the process is to close
	over    bool  // none any more
}

// bindGrants makes the task's descriptor table the one whose numbers its process
// uses, if nobody else uses the table. The process is new and has no other threads.
func (t *Task) bindGrants() {
	if old := t.fds.grants.Load(); old != nil {
		old.end()
	}
	if t.k.config.Trace != nil || t.fds.shared() {
		t.fds.grants.Store(nil)
		return
	}
	t.thread.UseGrants(true)
	t.fds.grants.Store(&grants{k: t.k, space: t.thread.Space(), lent: map[int]*lentFile{}})
}

// shareGrants lets child, a new thread of this space, use what t's process was
// granted: if both have one descriptor table. If that table gets another process's
// user, there are no more grants in it.
func (t *Task) shareGrants(child *Task) {
	g := t.fds.grants.Load()
	switch {
	case child.fds != t.fds:
		if child.thread.Space() != t.thread.Space() {
			child.bindGrants()
		}
	case g != nil && child.thread.Space() == g.space:
		child.thread.UseGrants(t.thread.Space() == g.space)
	case g != nil:
		g.end()
	}
}

// used notes a transfer through fd, d, and perhaps grants d's file.
func (t *Task) used(fd int, d *Description) {
	if d.lender == nil || d.keeper != nil || d.tty != nil || d.transfers.Add(1)%grantAfter != 0 || d.refused.Load() {
		return
	}
	g := t.fds.grants.Load()
	if g == nil || g.space != t.thread.Space() || fd >= machine.MaxGrants || t.k.mounts.watches.active() != nil {
		return
	}
	before := t.k.granted.revoked.Load() // the limit below holds until that changes
	l := t.borrow(d)
	if l == nil {
		return
	}
	file := uint32(machine.GrantFile)
	if d.stream {
		file = 0
	}
	if d.net != nil {
		file = machine.GrantSocket
	}
	bits := file
	if d.canRead() {
		bits |= machine.GrantRead
	}
	if d.canWrite() && (d.stream || d.tidied.Load()) && t.proc.limit(unix.RLIMIT_FSIZE) == unlimited {
		bits |= machine.GrantWrite
	}
	commit := func() bool { return t.fds.commit(g, fd, d, l, bits, before) }
	switch {
	case bits == file:
	case g.has(fd):
		commit() // perhaps it may do more by now
	default:
		_ = t.thread.Grant(fd, l.loan.FD, commit) // it is as good without
	}
}

// commit lets the process use number fd, which has the descriptor by now, unless
// that has become another one's, or all grants were taken back since before.
func (f *FDTable) commit(g *grants, fd int, d *Description, l *lentFile, bits uint32, before uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.grants.Load() != g || !f.isUsed(fd) || (*f.slots.Load())[fd].Load() != d {
		return false
	}
	k := f.k
	k.granted.mu.Lock()
	defer k.granted.mu.Unlock()
	if k.mounts.watches.active() != nil || k.granted.revoked.Load() != before {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over || l.recalled.Load() {
		return false
	}
	if k.granted.to == nil {
		k.granted.to = map[*grants]struct{}{}
	}
	k.granted.to[g] = struct{}{}
	g.lent[fd] = l
	g.count.Store(int32(len(g.lent)))
	l.usedBy(g.space)
	if bits&machine.GrantFile == 0 {
		g.streams.Store(true)
	}
	g.space.Permit(fd, bits)
	return true
}

// has reports whether fd is granted.
func (g *grants) has(fd int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lent[fd] != nil
}

// forget takes fd back, which is closed or becomes another description's.
func (g *grants) forget(fd int) {
	if g.count.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetLocked(fd)
}

func (g *grants) forgetLocked(fd int) {
	if g.lent[fd] == nil {
		return
	}
	delete(g.lent, fd)
	g.count.Store(int32(len(g.lent)))
	if g.space.Permit(fd, 0) {
		g.closing = append(g.closing, fd)
		g.stale.Store(true)
	} // else the stub has closed it
}

// forgetAll takes back what was lent of l, or everything if l is nil.
func (g *grants) forgetAll(l *lentFile) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for fd, o := range g.lent {
		if l == nil || l == o {
			g.forgetLocked(fd)
		}
	}
}

// end takes everything back for good.
func (g *grants) end() {
	g.mu.Lock()
	g.over = true
	g.mu.Unlock()
	g.forgetAll(nil)
	g.k.granted.mu.Lock()
	delete(g.k.granted.to, g)
	g.k.granted.mu.Unlock()
}

// awaitGone waits until the process, which has been ended, has let go of what others
// may wait for: the end of a pipe.
func (g *grants) awaitGone() {
	if g != nil && g.streams.Load() {
		<-g.space.Done()
	}
}

// leaveFDs ends the task's use of table f, while its thread is stopped. When it was
// the last user, closeAll follows. The process may go on for threads with other
// tables: it keeps nothing that it was granted of this one.
func (t *Task) leaveFDs(f *FDTable) (last bool) {
	last = f.leave()
	if last && t.mem.shared() {
		t.closeStaleOf(f.grants.Load())
	}
	return last
}

// closeStale has the process close what was taken back from it. It is called
// before the guest runs on.
func (t *Task) closeStale() { t.closeStaleOf(t.fds.grants.Load()) }

func (t *Task) closeStaleOf(g *grants) {
	if g == nil || !g.stale.Load() || g.space != t.thread.Space() {
		return
	}
	g.mu.Lock()
	numbers := g.closing
	g.closing = nil
	g.stale.Store(false)
	g.mu.Unlock()
	_ = t.thread.Ungrant(numbers) // or the process is gone
}

// finishWrite goes on with a write or sendto that the process has done in part by itself: what
// broke it off was the server's wish to have the thread back, unless there is a
// signal now.
func (t *Task) finishWrite(nr uint64) {
	r := &t.thread.Regs
	done, all := r.RAX, min(r.RDX, abi.MaxRW)
	if done >= all || t.interrupted() != nil {
		return
	}
	t.nr, t.args = unix.SYS_WRITE, Args{r.RDI, r.RSI + done, all - done}
	d, _ := t.fds.get(t.args.Int(0))
	if d != nil {
		defer d.release()
	}
	if d != nil && (d.sock != nil || d.net != nil) {
		// What was sent in part raises no SIGPIPE, and the next call hears why.
		t.nr, t.args[3] = unix.SYS_SENDTO, unix.MSG_NOSIGNAL
		if nr == unix.SYS_SENDTO {
			t.args[3] |= r.R10
		}
	}
	t.op.begin(t.nr, &t.args)
	n, err := t.call(t.k.lookupCall(t.nr))
	t.op.end()
	switch {
	case err == nil:
		done += n
	case d != nil && d.net != nil:
		t.keep(d, d.net, nil, err)
	}
	t.thread.SetReturn(done)
}

// grantedTo are the tables with grants.
type grantedTo struct {
	mu      sync.Mutex // taken after FDTable.mu, before grants.mu
	to      map[*grants]struct{}
	revoked atomic.Uint64 // how often all were taken back; changes under mu
}

// revokeGrants takes all grants back: the server wants to see everything from now
// on. What a process has begun by itself may still be under way.
func (k *Kernel) revokeGrants() { k.granted.revoke(nil) }

func (r *grantedTo) revoke(l *lentFile) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l == nil {
		r.revoked.Add(1)
	}
	for g := range r.to {
		g.forgetAll(l)
	}
}
