package names

import (
	"context"
	"sync"
)

// Redialer is a [Directory] in another process that may end and be started again:
// it is dialled anew at the first use after its end. What was registered over the
// connection before is gone with that. Its methods may be called concurrently.
type Redialer struct {
	path string

	mu  sync.Mutex // held while it dials
	now *Conn
}

// Redial connects to a registry that serves at path.
func Redial(ctx context.Context, path string) (*Redialer, error) {
	r := &Redialer{path: path}
	_, err := r.conn(ctx)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// conn returns the connection, a new one if the last has ended.
func (r *Redialer) conn(ctx context.Context) (*Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil {
		select {
		case <-r.now.Done():
		default:
			return r.now, nil
		}
	}
	c, err := Dial(ctx, r.path)
	if err != nil {
		return nil, err
	}
	r.now = c
	return c, nil
}

// Close ends the connection.
func (r *Redialer) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now.Close()
}

// Register implements Directory.
func (r *Redialer) Register(ctx context.Context, name string, s Service) (*Registration, error) {
	c, err := r.conn(ctx)
	if err != nil {
		return nil, err
	}
	return c.Register(ctx, name, s)
}

// Open implements Directory.
func (r *Redialer) Open(ctx context.Context, name string, q Request) (Opened, error) {
	c, err := r.conn(ctx)
	if err != nil {
		return Opened{}, err
	}
	return c.Open(ctx, name, q)
}

// List implements Directory.
func (r *Redialer) List(ctx context.Context, name string) ([]Info, error) {
	c, err := r.conn(ctx)
	if err != nil {
		return nil, err
	}
	return c.List(ctx, name)
}
