package guard

import (
	"time"

	"github.com/hati-os/hati/vfs"
)

// Call is a call that the server has not answered.
type Call struct {
	Server string
	Call   string // what is asked of the server: "read"
	Object string // the name it is about, if the call has one
	Caller int    // process id; 0 when it is not known
	Began  time.Time
}

// Pending returns the actor's call under way, if it has one.
func (a *Actor) Pending() (Call, bool) {
	s := a.slot.Load()
	if s == nil {
		return Call{}, false
	}
	return s.pending(running)
}

// pending describes the call if it is in that state.
func (s *slot) pending(state uint64) (Call, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load()&(1<<stateBits-1) != state {
		return Call{}, false
	}
	c := Call{Server: s.guard.name, Began: s.since, Caller: s.pid()}
	c.Call, c.Object = s.op.about()
	return c, true
}

// pid is the calling process.
func (s *slot) pid() int {
	c, _ := vfs.CallerOf(s.caller)
	return int(c.PID)
}

// Abandoned returns the calls that their callers have left and the server has not
// answered yet.
func (g *Guard) Abandoned() []Call {
	g.mu.Lock()
	slots := make([]*slot, 0, len(g.abandoned))
	for s := range g.abandoned {
		slots = append(slots, s)
	}
	g.mu.Unlock()
	var all []Call
	for _, s := range slots {
		if c, ok := s.pending(abandoned); ok {
			all = append(all, c)
		}
	}
	return all
}
