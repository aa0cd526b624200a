package remote

import (
	"context"
	"sync"
	"time"

	"github.com/hati-os/hati/vfs"
)

// patient is the context of a call to a server that waits for nobody
// (ServeOptions.Prompt). A handled signal ends it only when the server does not answer
// for a while: programs do not expect EINTR of a disk.
type patient struct {
	context.Context // the caller's

	mu   sync.Mutex // a leaf
	done chan struct{}
	stop func() bool
	over chan struct{} // closed when the call has returned
	err  error
}

// hasty is the context of a call that waits for others at such a server, too.
type hasty struct{ context.Context }

// around is lane.Config.Around.
func (c *session) around(ctx context.Context) (context.Context, func()) {
	if _, waits := ctx.(hasty); waits || !c.prompt.Load() || ctx.Done() == nil {
		return ctx, func() {}
	}
	p := &patient{Context: ctx}
	return p, p.returned
}

// returned ends what Done began.
func (p *patient) returned() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil && !p.stop() {
		close(p.over)
	}
}

// Done implements context.Context.
func (p *patient) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done, p.over = make(chan struct{}), make(chan struct{})
		p.stop = context.AfterFunc(p.Context, p.ended)
	}
	return p.done
}

func (p *patient) ended() {
	if vfs.Interrupted(context.Cause(p.Context)) {
		timer := time.NewTimer(closeGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-vfs.Final(p.Context):
		case <-p.over:
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = context.Cause(p.Context)
	close(p.done)
}

// Err is the cause, once Done is closed.
func (p *patient) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if err := context.Cause(p.Context); err != nil && !vfs.Interrupted(err) {
		return err
	}
	return nil
}
