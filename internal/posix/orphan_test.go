package posix

import "testing"

// TestOrphansEndInPeace: processes whose parent is process 1 keep no group from
// being orphaned, so the end of one changes nothing for a stopped member, also
// when the group is of process 1's own session.
func TestOrphansEndInPeace(t *testing.T) {
	k := bare(t)
	main := k.testProcess(k.init, 1)
	main.group.session = k.init.group.session // as when there is no terminal
	stopped, orphan := k.testProcess(main, 1), k.testProcess(main, 1)
	k.mu.Lock()
	defer k.mu.Unlock()
	stopped.sig.stopped = true
	delete(main.children, orphan.pid)
	orphan.parent, k.init.children[orphan.pid] = k.init, orphan
	orphan.exit.zombie = true
	orphan.checkOrphaned(orphan.parent, true)
	if main.exit.exiting {
		t.Error("the group was hung up")
	}
}
