package posix

import "github.com/hati-os/hati/internal/abi"

type timerTable struct{}

type posixTimer struct{}

// taken is called when the timer's signal is delivered (info) or dropped (nil).
func (t *posixTimer) taken(info *abi.Siginfo) {}

func (p *Process) stopTimers() {}
func (p *Process) dropTimers() {}

var timerCalls calls
