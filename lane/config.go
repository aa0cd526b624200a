package lane

import (
	"context"
	"time"
)

// Limits of what a lane can be made of. A peer that asks for more is refused.
const (
	MaxSlots   = 4096
	MaxArena   = 1 << 30
	MaxObjects = 16      // objects in one message
	InlineData = 1 << 10 // bytes that travel in a slot's own room, each way
)

// Config describes a lane. The zero Config is usable. A listener's bounds what its
// clients may ask for; other ends hold no more than their own says, also of lanes
// that come over them (or than the zero Config says, if that is more).
type Config struct {
	// Slots is the number of requests under way in each direction; further
	// callers wait. Rounded up to a multiple of 64, at most MaxSlots; 256 when 0.
	Slots int
	// Arena bounds the bytes under way in each direction: requests and room for
	// their replies beyond InlineData. Memory is taken when first used. Rounded
	// up to pages, at most MaxArena; 16 MiB when 0.
	Arena int
	// Grace is how long a server may take to acknowledge a cancel before the call
	// returns in doubt; 1 s when 0. A kill never waits; with Impatient, neither does
	// any other cause than an interrupt.
	Grace     time.Duration
	Impatient bool
	// Causes are the errors for the causes at this end.
	Causes Causes
	// Final returns a channel that closes when a call with ctx is to end for good
	// after it was interrupted (Killed), for callers that cannot use [WithFinal].
	Final func(ctx context.Context) <-chan struct{}
	// Protocol must be equal at both ends of a connection that is dialled; "" when
	// it is settled otherwise. Each end speaks the versions from Oldest (Version
	// when 0) to Version; the newest that both speak is used ([Lane.Version]).
	Protocol        string
	Version, Oldest uint32
	// Around, when not nil, is given the context of each call that a generated client
	// makes: the call is made with the one that it returns, and end called afterwards.
	Around func(ctx context.Context) (inner context.Context, end func())
	// Trailer, when not nil, is given the encoded request of each call that a
	// generated client makes, and appends what goes with every request of the
	// protocol; the server's handler takes it off again.
	Trailer func(ctx context.Context, data []byte) []byte
	// Name appears in listings of pending operations.
	Name string

	// steps, for tests, is called at named steps of a call.
	steps func(step string)
}

func (c Config) withDefaults() Config {
	if c.Slots <= 0 {
		c.Slots = 256
	}
	c.Slots = min((c.Slots+63)&^63, MaxSlots)
	if c.Arena <= 0 {
		c.Arena = 16 << 20
	}
	c.Arena = min((c.Arena+arenaUnit-1)&^(arenaUnit-1), MaxArena)
	if c.Oldest == 0 || c.Oldest > c.Version {
		c.Oldest = c.Version
	}
	if c.Grace <= 0 {
		c.Grace = time.Second
	}
	return c
}

func (c *Config) step(name string) {
	if c.steps != nil {
		c.steps(name)
	}
}

// patient reports whether a cancel of that code waits for its acknowledgement.
func (c *Config) patient(code uint8) bool {
	return code == codeInterrupted || code != codeKilled && !c.Impatient
}

// final returns what ends a call for good that was interrupted, and why.
func (c *Config) final(ctx context.Context) (done <-chan struct{}, cause func() error) {
	if f, ok := ctx.Value(finalKey{}).(context.Context); ok {
		return f.Done(), func() error { return context.Cause(f) }
	}
	if c.Final != nil {
		done = c.Final(ctx)
	}
	return done, func() error { return c.Causes.err(codeKilled) }
}
