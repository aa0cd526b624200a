package remote_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// FuzzNetworkServer sends a network's server whatever there is: it answers, or ends the
// lane, and never panics.
func FuzzNetworkServer(f *testing.F) {
	add := func(op uint32, m message) { f.Add(op, m.AppendLane(nil, netwire.ProtocolVersion), []byte("bulk")) }
	add(netwire.OpSocket, &netwire.SocketRequest{Family: unix.AF_INET, Type: unix.SOCK_STREAM | unix.SOCK_CLOEXEC})
	add(netwire.OpBind, &netwire.AddrRequest{Socket: 1, Addr: make([]byte, 128)})
	add(netwire.OpConnect, &netwire.AddrRequest{Socket: 2, Addr: []byte{2, 0}})
	add(netwire.OpAccept, &netwire.NumberRequest{Socket: 1})
	add(netwire.OpSend, &netwire.SendRequest{Socket: 2, Control: 4, Flags: -1})
	add(netwire.OpSend, &netwire.SendRequest{Socket: 2, Control: 5})
	add(netwire.OpReceive, &netwire.ReceiveRequest{Socket: 2, Size: 1 << 31, Control: 1 << 31})
	add(netwire.OpReceive, &netwire.ReceiveRequest{Socket: 2, Size: 4000, Control: 96, Flags: unix.MSG_ERRQUEUE})
	add(netwire.OpOption, &netwire.OptionRequest{Socket: 1, Level: 1, Name: 3})
	add(netwire.OpSetOption, &netwire.OptionRequest{Socket: 1, Level: 1, Name: 2})
	add(netwire.OpIoctl, &netwire.IoctlRequest{Socket: 2, Cmd: unix.SIOCINQ})
	add(netwire.OpPoll, &netwire.PollRequest{Socket: 2, Mask: 1<<32 - 1})
	add(netwire.OpArm, &netwire.ArmRequest{Socket: 2, Seen: 1 << 63})
	add(netwire.OpClose, &netwire.CloseRequest{Sockets: []uint64{1, 1, 2}})
	add(netwire.OpReturned, &netwire.NumberRequest{Socket: 1})
	add(netwire.OpDescribe, &netwire.DescribeRequest{Type: unix.RTM_GETLINK, To: make([]byte, 16)})
	add(netwire.OpSetting, &netwire.SettingRequest{Name: "../../etc/passwd"})
	f.Fuzz(func(t *testing.T, op uint32, data, bulk []byte) {
		a, b := lane.Pair(remote.NetworkConfig("fuzz"))
		defer a.Close()
		ended := remote.HandleNetwork(b, inet.Host())
		defer func() { a.Close(); <-ended }()
		c := netwire.Client{Lane: a}
		for _, typ := range []int32{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			var rep netwire.SocketReply
			if err := c.Socket(ctx, &netwire.SocketRequest{Family: unix.AF_INET, Type: typ}, &rep, nil); err != nil {
				t.Fatal(err)
			}
		}
		req := lane.Message{Op: op, Data: append(append([]byte(nil), data...), nobody...), Bulk: bulk}
		reply := lane.Message{Bulk: make([]byte, 4096)}
		if err := a.Call(ctx, &req, &reply); err != nil && strings.Contains(err.Error(), "panicked") {
			t.Fatal(err)
		}
		for _, o := range reply.Objects {
			o.Close()
		}
	})
}

// FuzzNetworkClient has a server answer whatever there is: a client's calls return, with
// nothing that cannot be.
func FuzzNetworkClient(f *testing.F) {
	add := func(op uint32, m message, bulk string) {
		f.Add(op, m.AppendLane(nil, netwire.ProtocolVersion), []byte(bulk))
	}
	add(netwire.OpSocket, &netwire.SocketReply{Socket: netwire.Socket{ID: 1, Bits: netwire.SocketLent}}, "")
	add(netwire.OpSocket, &netwire.SocketReply{}, "")
	add(netwire.OpAccept, &netwire.AcceptReply{Socket: netwire.Socket{ID: 1}, Addr: []byte("x"), Kept: 1<<32 - 1}, "")
	add(netwire.OpSend, &netwire.CountReply{N: 7}, "")
	add(netwire.OpReceive, &netwire.ReceiveReply{N: 9, Control: 1}, "abcdefgh")
	add(netwire.OpReceive, &netwire.ReceiveReply{N: 2, Control: 7, Flags: -1}, "abcdefgh")
	add(netwire.OpOption, &netwire.CountReply{N: 1 << 31}, "abcd")
	add(netwire.OpIoctl, &netwire.IoctlReply{N: 1, Off: 1<<32 - 1, Data: []byte("abcd")}, "")
	add(netwire.OpPoll, &netwire.ReadyReply{Events: 1<<32 - 1, Seq: 1}, "")
	add(netwire.OpDescribe, &netwire.CountReply{N: 1 << 20}, "abc")
	f.Fuzz(func(t *testing.T, op uint32, data, bulk []byte) {
		if op == netwire.OpClose {
			return // which a client believes
		}
		a, b := lane.Pair(remote.NetworkConfig("fuzz"))
		honest := remote.NetworkHandler(b, &goNet{})
		handle := func(ctx context.Context, r *lane.Request) error {
			if r.Op != op || r.IsNote {
				return honest(ctx, r)
			}
			r.Reply.Data = append(r.Reply.Data[:0], data...)
			r.Reply.Bulk = r.Room(len(bulk))
			copy(r.Reply.Bulk, bulk)
			return nil
		}
		if err := b.Handle(handle, lane.ServeOptions{Inline: true}); err != nil {
			t.Fatal(err)
		}
		c, err := remote.NewNetwork(a)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.Socket(ctx, unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return
		}
		defer s.Close()
		if x, addr, err := s.Accept(ctx); err == nil {
			x.Close()
			if len(addr) > vfs.SockaddrMax {
				t.Errorf("an address of %d bytes", len(addr))
			}
		}
		if n, err := s.Send(ctx, &vfs.Packet{Data: []byte("abc"), Control: []byte("de")}); n < 0 || n > 3 || err == nil && n < 0 {
			t.Errorf("sent %d, %v", n, err)
		}
		m := vfs.Packet{Data: make([]byte, 4), Control: make([]byte, 0, 4)}
		if n, err := s.Receive(ctx, &m); n < 0 || n > 1<<20 || len(m.Control) > 4 || len(m.Addr) > vfs.SockaddrMax {
			t.Errorf("received %d, %v: %+v", n, err, m)
		}
		if n, err := s.Option(ctx, 1, 2, make([]byte, 4)); n < 0 || n > 1<<16 {
			t.Errorf("an option of %d bytes, %v", n, err)
		}
		_, _ = s.(vfs.Ioctler).Ioctl(ctx, 5, make(memoryArg, 512))
		if e := s.Poll(vfs.EventIn); e&^(vfs.EventIn|vfs.EventErr|vfs.EventHup) != 0 {
			t.Errorf("asked for reading, it is ready for %#x", e)
		}
		_, _ = c.Describe(ctx, vfs.NetQuery{Type: 3})
		_, _ = c.Setting(ctx, "x")
	})
}
