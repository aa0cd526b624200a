package dev

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Device is a driver: it opens what a device number stands for.
type Device interface {
	// Open makes an open file of the device. node is the device node that was
	// opened, which the File must return from its Node method; flags are as in
	// [vfs.Opener]. It may be called concurrently.
	Open(ctx context.Context, node vfs.Node, flags int) (vfs.File, error)
}

// DeviceFunc is a Device made of its Open.
type DeviceFunc func(ctx context.Context, node vfs.Node, flags int) (vfs.File, error)

// Open calls f.
func (f DeviceFunc) Open(ctx context.Context, node vfs.Node, flags int) (vfs.File, error) {
	return f(ctx, node, flags)
}

// noDevice is the driver of a number without one.
func noDevice(context.Context, vfs.Node, int) (vfs.File, error) { return nil, syscall.ENXIO }

// Registry knows the driver of each device number. All methods may be called
// concurrently.
type Registry struct {
	mu      sync.RWMutex
	drivers map[number]Device
}

// number is a device's identity: character and block devices count apart.
type number struct {
	kind uint32
	rdev uint64
}

// NewRegistry makes an empty Registry.
func NewRegistry() *Registry {
	return &Registry{drivers: make(map[number]Device)}
}

// Register makes d the driver of rdev (a number as in stat's st_rdev,
// [golang.org/x/sys/unix.Mkdev]) among the devices of kind, S_IFCHR or S_IFBLK.
// EINVAL for another kind, EEXIST when the number is taken.
func (r *Registry) Register(kind uint32, rdev uint64, d Device) error {
	if kind != syscall.S_IFCHR && kind != syscall.S_IFBLK || d == nil {
		return syscall.EINVAL
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := number{kind, rdev}
	if _, taken := r.drivers[n]; taken {
		return syscall.EEXIST
	}
	r.drivers[n] = d
	return nil
}

// Unregister takes the number's driver away; open files stay usable.
func (r *Registry) Unregister(kind uint32, rdev uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.drivers, number{kind, rdev})
}

// Open opens the device of kind and number through node; ENXIO without a
// driver, as open(2) has it.
func (r *Registry) Open(ctx context.Context, node vfs.Node, kind uint32, rdev uint64, flags int) (vfs.File, error) {
	r.mu.RLock()
	d := r.drivers[number{kind, rdev}]
	r.mu.RUnlock()
	if d == nil {
		return nil, syscall.ENXIO
	}
	return d.Open(ctx, node, flags)
}
