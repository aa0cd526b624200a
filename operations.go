package hati

import "time"

// Operation is a system call of a box that has begun and not ended, or a call to
// a server that outlived it.
type Operation struct {
	// PID and TID are the process and the thread in the box; TID is 0 for a call
	// that its thread has left, and PID too when nobody of the box made it.
	PID, TID int
	Program  string // the thread's name
	// Call is the system call with its arguments, as strace prints them; or what
	// is asked of the server.
	Call string
	// Object is the path, or what the descriptor refers to; Server who serves it.
	Object, Server string
	Began          time.Time
	State          OperationState
}

// Age returns how long the operation has been going on.
func (o *Operation) Age() time.Duration { return time.Since(o.Began) }

// OperationState says how an operation stands.
type OperationState string

// The states of an [Operation].
const (
	OperationRunning   OperationState = "running"        // at work
	OperationWaiting   OperationState = "waiting"        // for something to happen, or for a server
	OperationInterrupt OperationState = "interrupt sent" // a signal is to end it
	OperationKilled    OperationState = "killed"         // its thread is being ended
	OperationAbandoned OperationState = "abandoned"      // left by its caller; the late result will be reclaimed
)

// Operations returns what is pending in the box: the calls of threads, the oldest
// first, and then the calls whose callers have left and that servers have not
// answered. It does not wait
// for programs or servers. Waits for a futex and for time that a program makes
// without asking hati are not among them.
func (b *Box) Operations() []Operation {
	var out []Operation
	for _, o := range b.kernel.Operations() {
		out = append(out, Operation{PID: o.PID, TID: o.TID, Program: o.Program, Call: o.Call, Object: o.Object,
			Server: o.Server, Began: o.Began, State: OperationState(o.State)})
	}
	for _, g := range b.guards {
		for _, c := range g.Abandoned() {
			out = append(out, Operation{PID: c.Caller, Call: c.Call, Object: c.Object, Server: c.Server,
				Began: c.Began, State: OperationAbandoned})
		}
	}
	return out
}

// ProcessInfo is a process of a box as ps(1) shows it.
type ProcessInfo struct {
	PID, Parent int
	UID         uint32
	State       string // running, sleeping, stopped, zombie
	Threads     int
	Name        string
	Args        []string // nil when it is not known
	Started     time.Time
}

// Processes returns the processes of the box, by number.
func (b *Box) Processes() []ProcessInfo {
	var out []ProcessInfo
	for _, p := range b.kernel.Processes() {
		out = append(out, ProcessInfo(p))
	}
	return out
}
