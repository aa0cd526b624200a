package posix

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/internal/servers/netlink"
	"github.com/hati-os/hati/internal/servers/proc"
	"github.com/hati-os/hati/internal/servers/tmp"
	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"github.com/hati-os/hati/vfs"
)

// Config says what a box consists of.
type Config struct {
	// Root is mounted at /; Mounts are mounted over it, the shortest path first.
	Root   vfs.FS
	Mounts []MountSpec
	// Guarded says that there are servers behind package guard: tasks run so that
	// they can leave them.
	Guarded  bool
	Hostname string
	// Devices opens device nodes, wherever they are.
	Devices *dev.Registry
	// Network makes the sockets that are not AF_UNIX's; nil: there are none.
	Network vfs.Network
	// Terminals, when not nil, gets the Kernel.
	Terminals *Terminals
	// Trace, when not nil, hears of every system call.
	Trace Tracer
	// Log, when not nil, hears of what the server could not do: unimplemented
	// calls and flags, servers that failed.
	Log func(format string, args ...any)
}

// MountSpec is a server and where it shows.
type MountSpec struct {
	Path string
	FS   vfs.FS
	// Source and Type are what /proc/mounts shows.
	Source, Type string
	ReadOnly     bool
	// NoSUID: the set-id bits of its files do not count.
	NoSUID bool
	// Proc asks for a /proc of this box in place of FS.
	Proc bool
}

// Kernel is the POSIX server of one box.
type Kernel struct {
	config  Config
	machine *machine.Machine
	mounts  *mountTable
	boot    time.Time
	memfds  *tmp.FS // memory files, which have no name
	sockets unixsock.Namespace
	flying  flyingRefs // open files in messages
	nets    netTable
	netlink *netlink.Server

	// mu guards the tables here and everything that says so.
	mu         sync.Mutex
	processes  map[int]*Process
	tasks      map[int]*Task
	lastPID    int
	groups     map[int]*group
	sessions   map[int]int    // how many groups have them
	queued     map[uint32]int // pending signals by user
	serial     uint64         // of the last process made
	domainname string
	init       *Process // process 1: adopts and reaps orphans; it has no tasks
	closing    bool
	alive      sync.WaitGroup // goroutines of tasks, and of dying spaces

	granted grantedTo
	pi      piLocks
	shm     shmTable
	sem     semTable
	msg     msgTable
	mq      mqTable
	missing atomic.Uint64 // calls answered with ENOSYS or an unknown flag
}

// New starts a box without processes.
func New(c Config) (*Kernel, error) {
	m, err := machine.New(machine.Options{AllCalls: c.Trace != nil})
	if err != nil {
		return nil, err
	}
	k := &Kernel{
		config: c, machine: m, boot: time.Now(),
		processes: map[int]*Process{}, tasks: map[int]*Task{},
		memfds: tmp.New(tmp.Options{Dev: 1}),
	}
	k.netlink = netlink.New(k, k)
	c.Mounts = slices.Clone(c.Mounts)
	for i := range c.Mounts {
		if c.Mounts[i].Proc {
			c.Mounts[i].FS = proc.New(procView{k})
		}
	}
	if k.mounts, err = newMountTable(context.Background(), c); err != nil {
		m.Close()
		return nil, err
	}
	if c.Terminals != nil {
		c.Terminals.kernel.Store(k)
	}
	k.lastPID = 1
	k.init = k.newInit()
	return k, nil
}

// logf tells the operator what a guest cannot be told.
func (k *Kernel) logf(format string, args ...any) {
	if k.config.Log != nil {
		k.config.Log(format, args...)
	}
}

// newPID returns a free id for a process or thread. k.mu is held.
func (k *Kernel) newPID() (int, error) {
	const limit = 4194304
	for range limit {
		k.lastPID++
		if k.lastPID >= limit {
			k.lastPID = 300
		}
		if !k.pidInUse(k.lastPID) {
			return k.lastPID, nil
		}
	}
	return 0, fmt.Errorf("posix: no process ids left: %w", errAgain)
}

// Close kills every process and waits until all is gone.
func (k *Kernel) Close() error {
	k.mu.Lock()
	k.closing = true
	for _, p := range k.processes {
		if p != k.init {
			p.killLocked()
		}
	}
	k.mu.Unlock()
	k.alive.Wait()
	return k.machine.Close()
}
