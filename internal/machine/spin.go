package machine

// Each side looks at the slot for a while before it sleeps. The other side
// answers within a microsecond when it runs on another processor; waking it
// costs ten times that, and on a virtual machine more. How long a look pays is
// learnt for each thread and side: it is doubled when it was long enough and
// halved when it was not, so that an idle or a crowded machine soon stops
// looking.
const (
	spinMin   = 50 // PAUSE instructions, each some ten nanoseconds
	spinMax   = 2000
	spinFirst = 400
)

// spinner learns how long to look.
type spinner uint32

func (s *spinner) learn(slept bool) {
	if slept {
		*s = max(*s/2, spinMin)
	} else {
		*s = min(*s*2, spinMax)
	}
}

// crowded reports whether there are as many running guest threads as
// processors: then looking would take time from one of them.
func (m *Machine) crowded() bool { return m.running.Load() >= runtimeCPU }
