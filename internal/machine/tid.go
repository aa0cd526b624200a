package machine

// TID returns the host's id of the thread, 0 when it is gone. It is for looking
// into /proc. Anyone may call it.
func (t *Thread) TID() int { return int(t.tid.Load()) }
