package posix

import "syscall"

// again makes a call that failed with ESTALE once more: between finding a name
// and using what it was for, somebody behind the server's back has moved it, and
// the name may lead elsewhere by now. A handler that returns ESTALE has had no
// effect.
func again(fn func(*Task, *Args) (uint64, error)) func(*Task, *Args) (uint64, error) {
	return func(t *Task, a *Args) (uint64, error) {
		ret, err := fn(t, a)
		if err == syscall.ESTALE {
			ret, err = fn(t, a)
		}
		return ret, err
	}
}

// byPath is again for all of c, whose calls begin at a path.
func byPath(c calls) calls {
	for nr, f := range c {
		f.fn = again(f.fn)
		c[nr] = f
	}
	return c
}
