package cancel

import "unsafe"

// call is a system call with its arguments and result, laid out for the assembly. Argument i is a[i] + p[i], of which
// one is zero: so pointers stay pointers for the garbage collector, and what they point to may lie on a stack.
type call struct {
	trap uintptr
	a    [6]uintptr
	p    [6]unsafe.Pointer
	r1   uintptr // the kernel's result, or left
	r2   uintptr

	eintr bool // an EINTR goes back to the caller, who knows the time that remains
}

// left is the result of a call that was cancelled before it had an effect. It is -ERESTARTSYS, which Linux never
// shows to a program.
const left = ^uintptr(511)

// invoke makes the call c as the operation o, which is running, and settles it: on return o is done or struck, and no
// canceller touches it any more. Assembly: entersyscall, publish the thread, the range, settle, exitsyscall.
//
//go:noescape
func invoke(o *op, c *call)

// getg returns the address of the running goroutine's descriptor.
func getg() uintptr

// codeAddrs returns the addresses of the range's first instruction, of the way out of it, of what is around them, of
// the signal handler, of its return, and of invoke.
func codeAddrs() (begin, out, body, handler, restorer, entry uintptr)

// What the assembly reads. All are set before the handler is installed and never changed after.
var (
	rangeBegin uintptr // the first instruction of the range
	rangeEnd   uintptr // the first instruction behind it
	extents    [3]extent
	oldHandler uintptr // the handler that this package's replaced
	ownPID     uint32
	gToM       uintptr // where a g has its m, and an m the kernel's thread id; 0 when not known
	mToTID     uintptr
)

// extent is where the code of a function is.
type extent struct{ begin, end uintptr }
