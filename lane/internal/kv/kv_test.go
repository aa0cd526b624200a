package kv_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/lane/internal/kv"
)

// message is what every generated type can do.
type message interface {
	AppendLane(b []byte, version uint32) []byte
	DecodeLane(b []byte, version uint32) error
}

func samples() []message {
	return []message{
		&kv.PutRequest{Key: []byte("k"), Value: []byte("value"), Mode: 3, Hidden: true, Times: [2]int64{-1, 1 << 60},
			Tags: []kv.Tag{{"a", 1.5}, {"", -2}}, Digest: [4]byte{1, 2, 3, 4}, Owner: "me"},
		&kv.PutReply{Revision: 7},
		&kv.GetRequest{Key: []byte("key")},
		&kv.WaitRequest{Key: []byte("key"), Revision: 9},
		&kv.GetReply{Revision: 1, Value: []byte("v"), History: []uint64{1, 2, 3},
			Meta: kv.Meta{Mode: 1, Grid: [2]kv.Cell{{-1, 2, 0.5}, {3, -4, 1e300}}, Names: [2]string{"x", "yy"}}},
		&kv.ChangedNote{Key: "k", Revision: 2},
		&kv.Tag{Key: "t"}, &kv.Meta{}, &kv.Cell{},
	}
}

func fresh(m message) message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(message) }

func TestCodecsRoundTrip(t *testing.T) {
	for _, m := range samples() {
		b := m.AppendLane(nil, kv.ProtocolVersion)
		got := fresh(m)
		if err := got.DecodeLane(b, kv.ProtocolVersion); err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if again := got.AppendLane(nil, kv.ProtocolVersion); !bytes.Equal(again, b) {
			t.Errorf("%T: %x became %x", m, b, again)
		}
		for n := range b {
			if err := fresh(m).DecodeLane(b[:n], kv.ProtocolVersion); !errors.Is(err, lane.ErrMessageShort) {
				t.Errorf("%T cut to %d of %d bytes: %v", m, n, len(b), err)
			}
		}
		if err := fresh(m).DecodeLane(append(b, 0), kv.ProtocolVersion); err != lane.ErrMessageLong {
			t.Errorf("%T with a byte too many: %v", m, err)
		}
	}
}

func TestCodecVersions(t *testing.T) {
	m := samples()[0].(*kv.PutRequest)
	old := m.AppendLane(nil, 1)
	got := kv.PutRequest{Owner: "left from before", Digest: [4]byte{9}}
	if err := got.DecodeLane(old, 1); err != nil || got.Owner != "" || got.Digest != [4]byte{} || got.Mode != 3 {
		t.Errorf("version 1: %v, %+v", err, got)
	}
	if err := got.DecodeLane(old, 2); err != lane.ErrMessageShort {
		t.Errorf("version 1's bytes as version 2: %v", err)
	}
	if err := got.DecodeLane(m.AppendLane(nil, 2), 1); err != lane.ErrMessageLong {
		t.Errorf("version 2's bytes as version 1: %v", err)
	}
}

func TestCodecBounds(t *testing.T) {
	long := &kv.GetRequest{Key: make([]byte, 256)}
	if err := fresh(long).DecodeLane(long.AppendLane(nil, 2), 2); err != lane.ErrMessageValue {
		t.Errorf("a key past its limit: %v", err)
	}
	b := (&kv.PutRequest{}).AppendLane(nil, 1)
	b[9] = 2 // Hidden
	if err := new(kv.PutRequest).DecodeLane(b, 1); err != lane.ErrMessageValue {
		t.Errorf("a bool of 2: %v", err)
	}
	huge := (&kv.GetReply{}).AppendLane(nil, 2)
	copy(huge[len(huge)-4:], []byte{0xff, 0xff, 0xff, 0xff})
	if err := new(kv.GetReply).DecodeLane(huge, 2); err != lane.ErrMessageShort {
		t.Errorf("a huge count: %v", err)
	}
}

func TestCodecsDoNotAllocate(t *testing.T) {
	for _, m := range samples() {
		b := m.AppendLane(nil, kv.ProtocolVersion)
		into := fresh(m)
		into.DecodeLane(b, kv.ProtocolVersion)
		buf := make([]byte, 0, len(b))
		if n := testing.AllocsPerRun(100, func() {
			into.DecodeLane(b, kv.ProtocolVersion)
			buf = into.AppendLane(buf[:0], kv.ProtocolVersion)
		}); n > 0 {
			t.Errorf("%T: %v allocations", m, n)
		}
	}
}

// Whatever is decoded is encoded to the same bytes: there is one form.
func FuzzCodecs(f *testing.F) {
	for i, m := range samples() {
		f.Add(byte(i), uint32(2), m.AppendLane(nil, 2))
		f.Add(byte(i), uint32(1), m.AppendLane(nil, 1))
	}
	all := samples()
	f.Fuzz(func(t *testing.T, which byte, version uint32, data []byte) {
		m := fresh(all[int(which)%len(all)])
		if m.DecodeLane(data, version) != nil {
			return
		}
		if again := m.AppendLane(nil, version); !bytes.Equal(again, data) {
			t.Errorf("%T: %x became %x", m, data, again)
		}
	})
}

var config = lane.Config{Protocol: kv.ProtocolName, Version: kv.ProtocolVersion, Oldest: kv.ProtocolOldest}

// serveKV serves a store at a path until the test ends.
func serveKV(t testing.TB, cfg lane.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := lane.Listen(path, 0o600, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ln.Serve(ctx, kv.Handler(kv.NewStore()), lane.ServeOptions{}, nil)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return path
}

func connect(t testing.TB, server, client lane.Config) (*lane.Lane, error) {
	t.Helper()
	l, err := lane.Dial(context.Background(), serveKV(t, server), client)
	if err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, err
}

func TestStubs(t *testing.T) {
	l, err := connect(t, config, config)
	if err != nil {
		t.Fatal(err)
	}
	c := kv.Client{Lane: l}
	ctx := context.Background()
	var put kv.PutReply
	if err := c.Put(ctx, &kv.PutRequest{Key: []byte("a"), Value: []byte("one")}, &put, nil); err != nil || put.Revision != 1 {
		t.Fatal(err, put)
	}
	var get kv.GetReply
	if err := c.Get(ctx, &kv.GetRequest{Key: []byte("a")}, &get, nil); err != nil || string(get.Value) != "one" {
		t.Fatal(err, get)
	}
	if err := c.Get(ctx, &kv.GetRequest{Key: []byte("b")}, &get, nil); err != syscall.ENOENT {
		t.Errorf("a key that is not there: %v", err)
	}
	if err := l.Call(ctx, &lane.Message{Op: 99}, nil); err != syscall.ENOSYS {
		t.Errorf("an unknown operation: %v", err)
	}
	if err := l.Call(ctx, &lane.Message{Op: kv.OpGet, Data: []byte{1}}, nil); err != syscall.EBADMSG {
		t.Errorf("a broken message: %v", err)
	}
	// A wait is cancelled, and a later one is served; bulk goes beside.
	one, cancel := context.WithCancelCause(ctx)
	cancel(lane.ErrInterrupted)
	if err := c.Wait(one, &kv.WaitRequest{Key: []byte("big"), Revision: 1}, &get, nil); err != lane.ErrInterrupted {
		t.Errorf("an interrupted wait: %v", err)
	}
	x := lane.Extra{Room: make([]byte, 1<<20)}
	waited := make(chan error, 1)
	go func() {
		waited <- c.Wait(ctx, &kv.WaitRequest{Key: []byte("big"), Revision: 1}, &get, &x)
	}()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := c.Put(ctx, &kv.PutRequest{Key: []byte("big")}, &put, &lane.Extra{Bulk: big}); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil || !bytes.Equal(x.Room, big) {
		t.Fatal(err, len(x.Room))
	}
}

func TestVersionsAreSettledOrRefused(t *testing.T) {
	v := func(name string, oldest, newest uint32) lane.Config {
		return lane.Config{Protocol: name, Version: newest, Oldest: oldest}
	}
	for _, tc := range []struct {
		server, client lane.Config
		want           uint32
	}{
		{v("kv", 1, 2), v("kv", 1, 2), 2},
		{v("kv", 1, 2), v("kv", 1, 1), 1},
		{v("kv", 1, 1), v("kv", 1, 2), 1},
		{v("kv", 2, 2), v("kv", 1, 1), 0},
		{v("kv", 1, 1), v("kv", 2, 2), 0},
		{v("kv", 1, 2), v("other", 1, 2), 0},
	} {
		l, err := connect(t, tc.server, tc.client)
		if tc.want == 0 {
			if !errors.Is(err, lane.ErrVersion) {
				t.Errorf("%v and %v: %v", tc.server, tc.client, err)
			}
			continue
		}
		if err != nil || l.Version() != tc.want {
			t.Errorf("%v and %v: %v", tc.server, tc.client, err)
		}
	}
}
