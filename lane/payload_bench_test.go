package lane_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"testing"

	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

// The old argument: what moves a payload best. Each request gives n bytes to a
// server in another process, which reads every one of them (a sum) and answers.
//
//	socket   the bytes are written to a unix stream socket and read from it
//	netrpc   the same through net/rpc
//	ring     Lane.Call with the bytes as Bulk: one copy on each side
//	inplace  Lane.Call, the server reading the Bulk where it lies (SharedBulk)
//	memory   both sides have mapped a memory object; the request names a part of it
//	pages    the request hands over a sealed memory object made for it
//
// go test -run xxx -bench Payload ./lane

const (
	opSum       = 150 + iota // of Bulk
	opUse                    // keeps a memory object
	opSumMemory              // of the kept object's first bytes
	opSumPages               // of the object that comes along
)

var payloadSizes = []int{64, 1 << 10, 4 << 10, 64 << 10, 1 << 20, 16 << 20}

// sum reads every byte once.
func sum(p []byte) (s uint64) {
	for len(p) >= 8 {
		s += binary.LittleEndian.Uint64(p)
		p = p[8:]
	}
	for _, b := range p {
		s += uint64(b)
	}
	return s
}

// payloadServer is the other process's handler for these operations.
func payloadServer() lane.Handler {
	var kept []byte
	return func(ctx context.Context, r *lane.Request) error {
		var s uint64
		switch r.Op {
		case opSum:
			s = sum(r.Bulk)
		case opUse:
			m := r.Objects[0].(*lane.Memory)
			r.Objects[0] = nil
			var err error
			kept, err = m.Map()
			return err
		case opSumMemory:
			n := binary.LittleEndian.Uint64(r.Data)
			if n > uint64(len(kept)) {
				return unix.EINVAL
			}
			s = sum(kept[:n])
		case opSumPages:
			b, err := r.Objects[0].(*lane.Memory).Map()
			if err != nil {
				return err
			}
			s = sum(b)
		default:
			return unix.ENOSYS
		}
		r.Reply.Data = binary.LittleEndian.AppendUint64(r.Reply.Data, s)
		return nil
	}
}

// Summer is the server of net/rpc.
type Summer struct{}

// Sum sums.
func (Summer) Sum(p []byte, s *uint64) error { *s = sum(p); return nil }

// payloadProcess serves lanes at path, plain sockets at path.sock and net/rpc at
// path.rpc.
func payloadProcess(path string) {
	ln, err := lane.Listen(path, 0o600, lane.Config{Arena: 64 << 20})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	plain, err := net.Listen("unix", path+".sock")
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	go func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				return
			}
			go sumSocket(c)
		}
	}()
	remote, err := net.Listen("unix", path+".rpc")
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	rpc.Register(Summer{})
	go rpc.Accept(remote)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("ready")
	for {
		l, err := ln.Accept(context.Background())
		if err != nil {
			return
		}
		l.Handle(payloadServer(), lane.ServeOptions{SharedBulk: l.Err() == nil && os.Getenv("LANE_TEST_SHARED") != ""})
	}
}

func sumSocket(c net.Conn) {
	var head [8]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		n := int(binary.LittleEndian.Uint64(head[:]))
		if n > len(buf) {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(c, buf[:n]); err != nil {
			return
		}
		binary.LittleEndian.PutUint64(head[:], sum(buf[:n]))
		if _, err := c.Write(head[:]); err != nil {
			return
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	ways := []struct {
		name   string
		shared bool
		make   func(b *testing.B, p *process, n int) func() (uint64, error)
	}{
		{"socket", false, viaSocket}, {"netrpc", false, viaRPC}, {"ring", false, viaRing},
		{"inplace", true, viaRing}, {"memory", false, viaMemory}, {"pages", false, viaPages},
	}
	for _, cores := range []int{1, 2} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("cores=%d/%s", cores, way.name), func(b *testing.B) {
				if err := useCores(cores); err != nil {
					b.Skip(err)
				}
				defer useCores(0)
				os.Setenv("LANE_TEST_SHARED", map[bool]string{true: "1"}[way.shared])
				dir, err := os.MkdirTemp("", "lane")
				if err != nil {
					b.Fatal(err)
				}
				defer os.RemoveAll(dir)
				p := startProcess(b, "payload", dir+"/s")
				for _, n := range payloadSizes {
					b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
						one := way.make(b, p, n)
						used := cpuTime(os.Getpid()) + cpuTime(p.Process.Pid)
						b.SetBytes(int64(n))
						b.ResetTimer()
						for b.Loop() {
							if _, err := one(); err != nil {
								b.Fatal(err)
							}
						}
						used = cpuTime(os.Getpid()) + cpuTime(p.Process.Pid) - used
						b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
					})
				}
			})
		}
	}
}

// useCores keeps this thread's process, and those that it starts, on the first n
// processors; 0 is all.
func useCores(n int) error {
	var set unix.CPUSet
	if n == 0 {
		n = len(set) * 64
	}
	for i := range n {
		set.Set(i)
	}
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, e := range list {
		var tid int
		fmt.Sscan(e.Name(), &tid)
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

func viaSocket(b *testing.B, p *process, n int) func() (uint64, error) {
	c, err := net.Dial("unix", p.path+".sock")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	payload := make([]byte, n)
	var head [8]byte
	return func() (uint64, error) {
		binary.LittleEndian.PutUint64(head[:], uint64(n))
		if _, err := c.Write(head[:]); err != nil {
			return 0, err
		}
		if _, err := c.Write(payload); err != nil {
			return 0, err
		}
		_, err := io.ReadFull(c, head[:])
		return binary.LittleEndian.Uint64(head[:]), err
	}
}

func viaRPC(b *testing.B, p *process, n int) func() (uint64, error) {
	c, err := rpc.Dial("unix", p.path+".rpc")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	payload := make([]byte, n)
	return func() (s uint64, err error) {
		err = c.Call("Summer.Sum", payload, &s)
		return s, err
	}
}

func payloadLane(b *testing.B, p *process) *lane.Lane {
	l, err := lane.Dial(context.Background(), p.path, lane.Config{Arena: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

func viaRing(b *testing.B, p *process, n int) func() (uint64, error) {
	l := payloadLane(b, p)
	req, rep := lane.Message{Op: opSum, Bulk: make([]byte, n)}, lane.Message{}
	return func() (uint64, error) {
		err := l.Call(context.Background(), &req, &rep)
		return answer(&rep, err)
	}
}

func viaMemory(b *testing.B, p *process, n int) func() (uint64, error) {
	l := payloadLane(b, p)
	m, err := lane.NewMemory(n)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	if _, err := m.Map(); err != nil {
		b.Fatal(err)
	}
	d, err := m.Dup()
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Call(context.Background(), &lane.Message{Op: opUse, Objects: []lane.Object{d}}, nil); err != nil {
		b.Fatal(err)
	}
	req, rep := lane.Message{Op: opSumMemory, Data: binary.LittleEndian.AppendUint64(nil, uint64(n))}, lane.Message{}
	return func() (uint64, error) {
		err := l.Call(context.Background(), &req, &rep)
		return answer(&rep, err)
	}
}

func viaPages(b *testing.B, p *process, n int) func() (uint64, error) {
	l := payloadLane(b, p)
	payload := make([]byte, n)
	rep := lane.Message{}
	return func() (uint64, error) {
		m, err := lane.NewMemory(n)
		if err != nil {
			return 0, err
		}
		if _, err := m.WriteAt(payload, 0); err != nil {
			return 0, err
		}
		if err := m.Seal(); err != nil {
			return 0, err
		}
		err = l.Call(context.Background(), &lane.Message{Op: opSumPages, Objects: []lane.Object{m}}, &rep)
		return answer(&rep, err)
	}
}

func answer(rep *lane.Message, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(rep.Data), nil
}
