package posix

import "golang.org/x/sys/unix"

var identityCalls = calls{
	unix.SYS_GETPID: {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.proc.pid), nil }},
	unix.SYS_GETTID: {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.tid), nil }},
}

var systemCalls calls
