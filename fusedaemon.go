package hati

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/mountcatch"
	"github.com/hati-os/hati/internal/servers/fuse"
	"golang.org/x/sys/unix"
)

// daemon is a FUSE daemon on the host.
type daemon struct {
	argv   []string
	stderr io.Writer
	cmd    *exec.Cmd
	fs     *fuse.FS
	out    tail
	ended  chan struct{} // closed when it has ended
	err    error         // how

	// catch waits for its mount(2); nil if it was told the name of its channel.
	catch *mountcatch.Catcher
}

const (
	// startTime is how long a daemon may take to answer for the first time, endTime
	// how long to end after its last request: it may have to store something.
	startTime = 30 * time.Second
	endTime   = 5 * time.Second
	channelFD = "/dev/fd/3"
)

// What stands for the mount point in a daemon's command line, and for the name
// of the channel.
const (
	holdPoint   = "{}"
	holdChannel = "{fd}"
)

// start starts the daemon, waits for its first answer, and completes m with what
// it has mounted.
func (d *daemon) start(o fuse.Options, m *Mount) (*fuse.FS, error) {
	ours, theirs, err := fuse.Socketpair()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), startTime, errSlow)
	defer cancel()
	started := make(chan error, 1)
	mountcatch.Go(func() { d.run(theirs, started) })
	if err = <-started; err == nil {
		err = d.awaitMount(ctx, &o, m)
	}
	if err != nil {
		ours.Close()
		d.discard()
		return nil, err
	}
	if d.fs, err = fuse.Attach(ours, o); err != nil {
		ours.Close()
		d.discard()
		return nil, err
	}
	if err := d.fs.Started(ctx); err != nil {
		d.fs.Unmount(true)
		if ctx.Err() == nil {
			d.awaitEnd() // it closed its channel, and its own end tells why
		}
		d.discard()
		return nil, fmt.Errorf("%w%s", err, d.how())
	}
	return d.fs, nil
}

var errSlow = fmt.Errorf("the daemon has not answered for %v", startTime)

// run starts the daemon and waits for its end, on one thread of its own: with
// that thread the daemon would end (PR_SET_PDEATHSIG), and only what that thread
// starts is caught.
func (d *daemon) run(channel *os.File, started chan<- error) {
	point := d.point(channel)
	d.cmd = exec.Command(d.argv[0], d.args(point)...)
	d.out.to = d.stderr
	if d.out.to == nil {
		d.out.to = os.Stderr
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	if d.catch == nil {
		d.cmd.ExtraFiles = []*os.File{channel}
	}
	// A session of its own: the keys of the box's terminal are not for it.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	d.cmd.WaitDelay = time.Second
	err := d.cmd.Start()
	if d.catch == nil {
		channel.Close()
	}
	if err != nil {
		close(d.ended)
	}
	started <- err
	if err != nil {
		return
	}
	d.err = d.cmd.Wait()
	close(d.ended)
}

// point returns the daemon's mount point: an empty directory if its mount(2) can
// be caught, else the name of the channel, which not all daemons take.
func (d *daemon) point(channel *os.File) string {
	if strings.Contains(strings.Join(d.argv, " "), holdChannel) {
		return channelFD
	}
	dir, err := os.MkdirTemp("", "hati-fuse-")
	if err != nil {
		return channelFD
	}
	if d.catch, err = mountcatch.New(dir, channel); err != nil {
		os.Remove(dir)
		return channelFD
	}
	return dir
}

// args returns the daemon's arguments, with its mount point in its place.
func (d *daemon) args(point string) []string {
	args := slices.Clone(d.argv[1:])
	if all := strings.Join(args, " "); !strings.Contains(all, holdPoint) && !strings.Contains(all, holdChannel) {
		args = append(args, holdPoint)
	}
	r := strings.NewReplacer(holdPoint, point, holdChannel, channelFD)
	for i := range args {
		args[i] = r.Replace(args[i])
	}
	return args
}

// awaitMount waits for the daemon's mount(2), and takes its options.
func (d *daemon) awaitMount(ctx context.Context, o *fuse.Options, m *Mount) error {
	if d.catch == nil {
		return nil
	}
	var got mountcatch.Mount
	ok := false
	select {
	case got, ok = <-d.catch.Mounted():
	case <-d.ended:
		select { // it may have left the mount to a child
		case got, ok = <-d.catch.Mounted():
		default:
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !ok {
		<-d.ended
		return fmt.Errorf("the daemon ended before it mounted anything%s", d.how())
	}
	// Not its source: that names a place on the host, or another one.
	m.kind, m.ReadOnly = got.Type, m.ReadOnly || got.Flags&unix.MS_RDONLY != 0
	for _, s := range got.Options {
		key, value, _ := strings.Cut(s, "=")
		switch key {
		case "allow_other":
			o.AllowOther = true
		case "default_permissions":
			o.DefaultPermissions = true
		case "subtype":
			m.kind = "fuse." + value
		case "max_read":
			_, _ = fmt.Sscanf(value, "%d", &o.MaxRead)
		case "blksize":
			_, _ = fmt.Sscanf(value, "%d", &o.Blksize)
		}
	}
	return nil
}

// discard lets go of a daemon that did not start.
func (d *daemon) discard() {
	d.kill()
	d.tidy()
}

// tidy removes what the daemon needed. It has ended, or will unheard.
func (d *daemon) tidy() {
	if d.catch != nil {
		d.catch.Close()
	}
}

// kill ends the daemon, and what it has started in its session.
func (d *daemon) kill() {
	select {
	case <-d.ended: // the number may be another's by now
		return
	default:
	}
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	<-d.ended
}

// how tells how the daemon ended and what it said, for an error.
func (d *daemon) how() string {
	var b strings.Builder
	var exit *exec.ExitError
	if errors.As(d.err, &exit) {
		fmt.Fprintf(&b, " (%v)", exit)
	}
	if last := d.out.last(); last != "" {
		fmt.Fprintf(&b, ": %s", last)
	}
	return b.String()
}

// close unmounts, and waits until the daemon has ended.
func (d *daemon) close() error {
	defer d.tidy()
	d.out.stop() // that its channel was closed is no news
	d.fs.Unmount(false)
	if !d.awaitEnd() {
		d.fs.Unmount(true)
		d.kill()
		return fmt.Errorf("hati: FUSE daemon %s did not end within %v and was killed", d.argv[0], endTime)
	}
	return nil
}

// awaitEnd reports whether the daemon, whose channel is closed, ends by itself.
func (d *daemon) awaitEnd() bool {
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-d.ended:
		return true
	case <-timer.C:
		return false
	}
}
