package lane

// SetSteps has f called at the named steps of a call.
func (c *Config) SetSteps(f func(step string)) { c.steps = f }

// EventWaited reports whether somebody in this process waits for e.
func EventWaited(e *Event) bool {
	e.core.mu.Lock()
	defer e.core.mu.Unlock()
	return len(e.core.waiters) > 0
}
