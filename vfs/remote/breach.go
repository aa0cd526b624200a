package remote

import (
	"sync/atomic"
	"time"
)

// closeGrace is how long a server may take over what the end of a client brings.
const closeGrace = time.Second

// errorOnce keeps the first error.
type errorOnce struct{ atomic.Pointer[error] }

func (e *errorOnce) set(err error) (first bool) { return e.CompareAndSwap(nil, &err) }
