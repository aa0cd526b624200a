package fuse

import (
	"fmt"
	"syscall"
)

// offered are the abilities that INIT offers.
const offered = uint64(initAsyncRead | initPosixLocks | initExport | initBigWrites | initFlockLocks |
	initIoctlDir | initAutoInval | initReaddirplus | initReaddirAuto | initAsyncDIO | initNoOpen |
	initParallelDirops | initHandleKillpriv | initAbortError | initMaxPages | initCacheSymlinks |
	initNoOpendir | initExplicitInval | initExt | initExpireOnly | initDirectMmap)

const (
	// mostPages bounds a READ's and a WRITE's size: POSIX moves no more at once.
	mostPages     = 64
	defaultPages  = 32
	maxReadahead  = 128 << 10
	initOutOldest = 24
	maxStack      = 2 // file systems over each other, with passthrough
)

// begin sends INIT.
func (fs *FS) begin() {
	r := newRequest(opInit, 0)
	flags := offered
	if fs.opts.Backing != nil {
		flags |= initPassthrough
	}
	e := r.enc().u32(major, minor, maxReadahead, uint32(flags), uint32(flags>>32))
	r.in = append(e.b, make([]byte, 44)...)
	r.late = func(body []byte, err error) {
		if err == nil {
			err = fs.initialized(body)
		}
		if err != nil {
			fs.conn.abort(fmt.Errorf("fuse: the daemon refused INIT: %w", err))
			return
		}
		fs.conn.mu.Lock()
		fs.conn.beginLocked()
		fs.conn.mu.Unlock()
	}
	fs.conn.send(r)
}

// initialized takes the answer to INIT.
func (fs *FS) initialized(body []byte) error {
	d := decoder{b: body}
	ma, mi := d.u32(), d.u32()
	d.u32() // readahead is not done
	flags := uint64(d.u32())
	d.u32() // background limits are the host kernel's business with its page cache
	maxWrite := d.u32()
	if d.bad || ma != major || mi < minMinor {
		return fmt.Errorf("version %d.%d, %d bytes: %w", ma, mi, len(body), syscall.EPROTO)
	}
	d.u32() // time_gran
	pages := d.u16()
	d.u16() // map_alignment
	flags |= uint64(d.u32()) << 32
	if stack := d.u32(); stack == 0 || stack > maxStack {
		flags &^= initPassthrough
	}
	if flags&initExt == 0 {
		flags &= 1<<32 - 1
	}
	l := &fs.conn.limits
	l.minor, l.flags = min(mi, minor), flags&(offered|initPassthrough)
	size := defaultPages * pageSize
	if flags&initMaxPages != 0 && pages > 0 {
		size = int(min(pages, mostPages)) * pageSize
	}
	size = min(size, fs.opts.MaxMessage)
	l.maxWrite = min(size, int(max(min(maxWrite, 1<<30), pageSize)))
	if flags&initBigWrites == 0 && mi < 31 {
		l.maxWrite = min(l.maxWrite, pageSize)
	}
	l.maxRead.Store(int64(min(size, max(fs.opts.MaxRead, pageSize))))
	return nil
}

// has reports whether the daemon has agreed to an ability.
func (fs *FS) has(flag uint64) bool { return fs.conn.flags&flag != 0 }
