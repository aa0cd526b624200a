package guard

import "context"

// anyOp is a call of the less frequent kinds.
type anyOp[T any] struct {
	call, object string
	f            func(context.Context) (T, error)
	dispose      func(T) // may be nil
	result       T
}

func (o *anyOp[T]) do(ctx context.Context) (err error) {
	o.result, err = o.f(ctx)
	return err
}

func (o *anyOp[T]) late(*Guard) {
	if o.dispose != nil {
		o.dispose(o.result)
	}
}

func (o *anyOp[T]) about() (string, string) { return o.call, o.object }

// perform has the server run f. dispose gets a result that nobody waits for.
func perform[T any](ctx context.Context, g *Guard, on *file, call, object string,
	f func(context.Context) (T, error), dispose func(T)) (T, error) {
	o := &anyOp[T]{call: call, object: object, f: f, dispose: dispose}
	s := g.begin(ctx)
	if err := s.call(ctx, o, on); err != nil {
		var zero T
		return zero, err
	}
	s.end()
	return o.result, nil
}

// command is perform for calls that only fail or not.
func command(ctx context.Context, g *Guard, on *file, call, object string, f func(context.Context) error) error {
	_, err := perform(ctx, g, on, call, object, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	}, nil)
	return err
}
