package lane_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/lane"
)

// A question and its answer, in one process. Between processes only the first line
// differs: see the example of Listener.Serve.
func Example() {
	client, server := lane.Pair(lane.Config{})
	defer client.Close()
	server.Handle(func(ctx context.Context, r *lane.Request) error {
		if len(r.Data) == 0 {
			return syscall.EINVAL // reaches the caller as it is
		}
		r.Reply.Data = append(r.Reply.Data, "hello "+string(r.Data)...)
		return nil
	}, lane.ServeOptions{})

	var reply lane.Message
	err := client.Call(context.Background(), &lane.Message{Data: []byte("world")}, &reply)
	fmt.Println(string(reply.Data), err)
	err = client.Call(context.Background(), &lane.Message{}, nil)
	fmt.Println(err, "-", lane.OutcomeOf(err))
	// Output:
	// hello world <nil>
	// invalid argument - done
}

// A call is cancelled by its context, and its outcome says what became of it.
func ExampleOutcomeOf() {
	client, server := lane.Pair(lane.Config{})
	defer client.Close()
	server.Handle(func(ctx context.Context, r *lane.Request) error {
		<-ctx.Done()              // a handler that waits leaves when nobody wants the answer
		return context.Cause(ctx) // and says so, if it has done nothing
	}, lane.ServeOptions{})

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := client.Call(ctx, &lane.Message{}, nil)
	switch lane.OutcomeOf(err) {
	case lane.Done:
		fmt.Println("it is done, or failed with the server's error:", err)
	case lane.Interrupted, lane.Cancelled:
		fmt.Println("nothing happened; in time:", !errors.Is(err, context.DeadlineExceeded))
	case lane.InDoubt:
		fmt.Println("it may have happened:", err)
	}
	// Output: nothing happened; in time: false
}

// A server at a path, and a client that finds it there. Usually they are in two
// processes.
func ExampleListener_Serve() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "kv.sock")

	// ListenAnew replaces what a server left that has died. The permissions say who
	// may connect.
	l, err := lane.ListenAnew(path, 0o600, lane.Config{Protocol: "kv", Version: 1})
	if err != nil {
		log.Fatal(err)
	}
	var store sync.Map
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() {
		served <- l.Serve(ctx, func(ctx context.Context, r *lane.Request) error {
			const get, put = 1, 2
			switch r.Op {
			case put:
				store.Store(string(r.Data), append([]byte(nil), r.Bulk...)) // r is the lane's again afterwards
				return nil
			case get:
				v, ok := store.Load(string(r.Data))
				if !ok {
					return syscall.ENOENT
				}
				room := r.Room(len(v.([]byte))) // as much as the caller has offered
				r.Reply.Bulk = room[:copy(room, v.([]byte))]
				return nil
			}
			return syscall.ENOSYS
		}, lane.ServeOptions{}, nil)
	}()

	client, err := lane.Dial(context.Background(), path, lane.Config{Protocol: "kv", Version: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	err = client.Call(context.Background(), &lane.Message{Op: 2, Data: []byte("colour"), Bulk: []byte("green")}, nil)
	fmt.Println(err)
	reply := lane.Message{Bulk: make([]byte, 100)} // room for the answer
	err = client.Call(context.Background(), &lane.Message{Op: 1, Data: []byte("colour")}, &reply)
	fmt.Println(string(reply.Bulk), err)
	stop()
	fmt.Println(<-served)
	// Output:
	// <nil>
	// green <nil>
	// context canceled
}

// A conversation outlasts the request that opens it: here the server goes on to
// tell of changes.
func ExampleLane_Offer() {
	client, server := lane.Pair(lane.Config{})
	defer client.Close()
	server.Handle(func(ctx context.Context, r *lane.Request) error {
		watch := r.Accept()
		if watch == nil {
			return syscall.EINVAL // Call instead of Offer
		}
		go func() {
			defer watch.Close()
			for _, s := range []string{"one", "two"} {
				if err := watch.Note(context.Background(), &lane.Message{Data: []byte(s)}); err != nil {
					return // the client has gone
				}
			}
			watch.Call(context.Background(), &lane.Message{Data: []byte("last")}, nil) // returns when it was taken
		}()
		return nil
	}, lane.ServeOptions{})

	watch, err := client.Offer(context.Background(), &lane.Message{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer watch.Close()
	for {
		r, err := watch.Recv(context.Background())
		if err != nil {
			fmt.Println(errors.Is(err, lane.ErrPeerDied))
			return
		}
		fmt.Println(string(r.Data))
		r.Answer(nil)
	}
	// Output:
	// one
	// two
	// last
	// true
}

// An event is sent over a lane with the right to wait for it only.
func ExampleEvent() {
	client, server := lane.Pair(lane.Config{})
	defer client.Close()
	ready := lane.NewEvent(lane.Bitset)
	defer ready.Close()
	server.Handle(func(ctx context.Context, r *lane.Request) error {
		r.Reply.Objects = append(r.Reply.Objects, ready.Dup().Reduce(lane.RightRead|lane.RightPass))
		return nil
	}, lane.ServeOptions{})

	var reply lane.Message
	if err := client.Call(context.Background(), &lane.Message{}, &reply); err != nil {
		log.Fatal(err)
	}
	e := reply.Objects[0].(*lane.Event) // a client checks this
	defer e.Close()
	fmt.Println(e.Raise(1))

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := e.Wait(ctx, 1|2)
	fmt.Println(err)
	ready.Raise(2)
	fmt.Println(e.Wait(context.Background(), 1|2))
	// Output:
	// event with the rights read|pass, not write: lane: insufficient rights: operation not permitted
	// context deadline exceeded
	// 2 <nil>
}

// A picture is made, sealed and sent: its receiver has bytes that never change, and
// nothing was copied.
func ExampleMemory_Seal() {
	client, server := lane.Pair(lane.Config{})
	defer client.Close()
	server.Handle(func(ctx context.Context, r *lane.Request) error {
		m := r.Objects[0].(*lane.Memory)
		b, err := m.Map()
		if err != nil {
			return err
		}
		fmt.Println(m.Rights(), m.Sealed(), string(b[:7]))
		_, err = m.WriteAt([]byte("x"), 0)
		fmt.Println(errors.Is(err, lane.ErrRights))
		return nil // closes m; a handler that keeps it sets r.Objects[0] to nil
	}, lane.ServeOptions{})

	m, err := lane.NewMemory(1 << 20)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.WriteAt([]byte("picture"), 0); err != nil {
		log.Fatal(err)
	}
	if err := m.Seal(); err != nil {
		log.Fatal(err)
	}
	// Without RightPass it could not be sent at all; its receiver could then not send it on.
	if err := client.Call(context.Background(), &lane.Message{Objects: []lane.Object{m}}, nil); err != nil {
		log.Fatal(err)
	}
	// Output:
	// read|map|pass true picture
	// true
}
