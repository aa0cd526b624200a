package posix

type exitState struct{}
type taskExit struct{}
type limitTable struct{}
type procClocks struct{}
type group struct{}

// Creds are a thread's credentials. They are never changed, only replaced.
type Creds struct {
	UID, GID   uint32
	EUID, EGID uint32
	SUID, SGID uint32
	FSUID      uint32
	FSGID      uint32
	Groups     []uint32
}

// dying reports whether the task is to end: exit_group, a fatal signal, another
// thread's exec.
func (t *Task) dying() bool { return false }

// killLocked ends the process as by SIGKILL. k.mu is held.
func (p *Process) killLocked() {}

func (k *Kernel) newInit() *Process       { return nil }
func (k *Kernel) groupInUse(pid int) bool { return false }

// hostDied: the host process ended behind the server's back.
func (t *Task) hostDied() {}

// killSiblings ends all other threads of the process and waits until they are
// gone, for exec. It fails when the task itself is to end.
func (t *Task) killSiblings() error { return nil }

var exitCalls, identityCalls, systemCalls calls
