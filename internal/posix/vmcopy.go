package posix

import (
	"cmp"
	"reflect"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"golang.org/x/sys/unix"
)

// Calls by which a process looks into another one.
var vmCalls = calls{
	unix.SYS_PROCESS_VM_READV:  {fn: func(t *Task, a *Args) (uint64, error) { return t.vmCopy(a, false) }},
	unix.SYS_PROCESS_VM_WRITEV: {fn: func(t *Task, a *Args) (uint64, error) { return t.vmCopy(a, true) }},
	unix.SYS_KCMP:              {fn: sysKcmp},
}

// remote returns a process that the task may look into: ESRCH, EPERM.
func (t *Task) remote(pid int) (*Task, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	o := t.k.tasks[pid]
	if o == nil || o.proc.tasks[pid] != o {
		return nil, syscall.ESRCH
	}
	if !t.mayAccess(o.proc) {
		return nil, syscall.EPERM
	}
	return o, nil
}

// copyInIovecs reads an array of pieces of memory.
func (t *Task) copyInIovecs(addr, n uint64) ([]abi.Iovec, error) {
	if n > abi.MaxIovecs {
		return nil, syscall.EINVAL
	}
	b := make([]byte, n*abi.SizeIovec)
	if err := t.copyIn(addr, b); err != nil {
		return nil, err
	}
	v := make([]abi.Iovec, n)
	total := uint64(0)
	for i := range v {
		v[i].Decode(b[i*abi.SizeIovec:])
		if int64(v[i].Len) < 0 {
			return nil, syscall.EINVAL
		}
		v[i].Len = min(v[i].Len, abi.MaxRW-total)
		total += v[i].Len
	}
	return v, nil
}

// vmCopy is process_vm_readv and process_vm_writev.
func (t *Task) vmCopy(a *Args, write bool) (uint64, error) {
	if a[5] != 0 {
		return 0, syscall.EINVAL
	}
	local, err := t.copyInIovecs(a[1], a[2])
	if err != nil {
		return 0, err
	}
	there, err := t.copyInIovecs(a[3], a[4])
	if err != nil {
		return 0, err
	}
	o, err := t.remote(a.Int(0))
	if err != nil {
		return 0, err
	}
	t.k.mu.Lock()
	from, to := o.thread.Space(), t.thread.Space()
	t.k.mu.Unlock()
	src, dst := there, local
	if write {
		from, to, src, dst = to, from, local, there
	}
	done, err := copyBetween(t.buffer(64<<10), from, src, to, dst)
	if done > 0 {
		err = nil
	}
	return done, err
}

// copyBetween copies until one side is at its end or not to be accessed.
func copyBetween(buf []byte, from *machine.Space, src []abi.Iovec, to *machine.Space, dst []abi.Iovec) (done uint64, err error) {
	for len(src) > 0 && len(dst) > 0 {
		n := min(src[0].Len, dst[0].Len, uint64(len(buf)))
		got, rerr := from.Read(src[0].Base, buf[:n])
		put, werr := to.Write(dst[0].Base, buf[:got])
		done += uint64(put)
		if rerr != nil || werr != nil {
			return done, syscall.EFAULT
		}
		src, dst = advance(src, n), advance(dst, n)
	}
	return done, nil
}

func advance(v []abi.Iovec, n uint64) []abi.Iovec {
	v[0].Base += n
	v[0].Len -= n
	for len(v) > 0 && v[0].Len == 0 {
		v = v[1:]
	}
	return v
}

// kcmp(2)'s types.
const (
	kcmpFile = iota
	kcmpVM
	kcmpFiles
	kcmpFS
	kcmpSighand
	kcmpIO
	kcmpSysvsem
)

func sysKcmp(t *Task, a *Args) (uint64, error) {
	x, err := t.remote(a.Int(0))
	if err != nil {
		return 0, err
	}
	y, err := t.remote(a.Int(1))
	if err != nil {
		return 0, err
	}
	t.k.mu.Lock()
	xf, yf := x.fds, y.fds
	pairs := map[int][2]any{
		kcmpVM: {x.mem, y.mem}, kcmpFiles: {xf, yf}, kcmpFS: {x.fs, y.fs},
		kcmpSighand: {x.proc.sig.handlers, y.proc.sig.handlers},
		// Nobody has what these two are about.
		kcmpIO: {t.k, t.k}, kcmpSysvsem: {t.k, t.k},
	}
	t.k.mu.Unlock()
	if a.Int(2) == kcmpFile {
		if xf == nil || yf == nil {
			return 0, syscall.EBADF
		}
		d, err := xf.get(int(a[3]))
		if err != nil {
			return 0, err
		}
		defer d.release()
		e, err := yf.get(int(a[4]))
		if err != nil {
			return 0, err
		}
		defer e.release()
		return order(d, e), nil
	}
	p, ok := pairs[a.Int(2)]
	if !ok {
		return 0, syscall.EINVAL
	}
	return order(p[0], p[1]), nil
}

// order is 0 for the same object, else 1 or 2, so that objects can be sorted.
func order(x, y any) uint64 {
	switch cmp.Compare(reflect.ValueOf(x).Pointer(), reflect.ValueOf(y).Pointer()) {
	case -1:
		return 1
	case 1:
		return 2
	}
	return 0
}
