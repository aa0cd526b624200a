package posix

import "golang.org/x/sys/unix"

// rseqArea is a thread's registration of restartable sequences, which are the
// host's: it writes into the guest's memory whenever the thread is scheduled.
type rseqArea struct{ addr, size, signature uint64 }

const rseqUnregister = 1

func sysRseq(t *Task, a *Args) (uint64, error) {
	if _, err := t.thread.Do1(unix.SYS_RSEQ, a[:4]...); err != nil {
		return 0, err
	}
	t.rseq = rseqArea{a[0], a[1], a[3]}
	if a[2]&rseqUnregister != 0 {
		t.rseq = rseqArea{}
	}
	return 0, nil
}

// leaveRseq ends the registration. A thread that has told the others of its end
// still exists on the host for a moment, while they may unmap the area already.
func (t *Task) leaveRseq() {
	if r := t.rseq; r.addr != 0 {
		t.thread.Do1(unix.SYS_RSEQ, r.addr, r.size, rseqUnregister, r.signature)
		t.rseq = rseqArea{}
	}
}
