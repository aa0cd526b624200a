package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A connection begins with two messages on a SOCK_SEQPACKET socket: the client
// sends a greeting with the lane's memory, the server answers with a status and
// a text.
//
//	greeting: "hatilane", lane format uint32, protocol version uint32, protocol name
//	answer:   "hatilane", status uint32 (1 yes, 2 no, 3 no: version or protocol), protocol version uint32, text
const (
	greetHeader  = 16
	greetTimeout = 10 * time.Second
)

// Dial connects to a Listener's path.
func Dial(ctx context.Context, path string, cfg Config) (*Lane, error) {
	cfg = cfg.withDefaults()
	l, err := dial(ctx, path, cfg)
	var no *refused
	if errors.As(err, &no) && no.version < cfg.Version && no.version >= cfg.Oldest {
		cfg.Version = no.version
		l, err = dial(ctx, path, cfg)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, socketError("connect to", path, err)
	}
	return l, nil
}

func dial(ctx context.Context, path string, cfg Config) (*Lane, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixpacket", path)
	if err != nil {
		return nil, err
	}
	return connect(ctx, conn.(*net.UnixConn), cfg)
}

// Connect is Dial over a connected seqpacket socket, one of a pair perhaps, whose
// other end is given to [Answer]. It closes conn.
func Connect(ctx context.Context, conn *net.UnixConn, cfg Config) (*Lane, error) {
	l, err := connect(ctx, conn, cfg.withDefaults())
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("lane: %w", err)
	}
	return l, nil
}

// Answer is the other side of [Connect]: it returns the lane that the client has
// asked for. With an error in refuse, which the client is told, there is none. It
// closes conn.
func Answer(conn *net.UnixConn, cfg Config, refuse error) (*Lane, error) {
	cfg = cfg.withDefaults()
	if refuse != nil {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(greetTimeout))
		if _, err := conn.Write(greeting(answerNo, &cfg, refuse.Error())); err != nil {
			return nil, fmt.Errorf("lane: %w", err)
		}
		return nil, refuse
	}
	return greet(conn, cfg)
}

func connect(ctx context.Context, u *net.UnixConn, cfg Config) (*Lane, error) {
	defer u.Close()
	stop := context.AfterFunc(ctx, func() { u.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	memfd, lay, err := newRingMemory(&cfg)
	if err != nil {
		return nil, err
	}
	defer unix.Close(memfd)
	_, _, err = u.WriteMsgUnix(greeting(ringVersion, &cfg, cfg.Protocol), unix.UnixRights(memfd), nil)
	if err == nil || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		err = readAnswer(u) // who has hung up may have said why
	}
	if err != nil {
		return nil, err
	}
	return laneOf(u, cfg, 0, memfd, lay)
}

// refused is a server's no to a client, with the server's version of the protocol.
type refused struct {
	status, version uint32
	text            string
}

func (e *refused) Error() string {
	return "refused by the server: " + strings.TrimPrefix(e.text, "lane: ")
}
func (e *refused) Unwrap() error {
	if e.status == answerVersion {
		return ErrVersion
	}
	return nil
}

func greeting(word uint32, cfg *Config, text string) []byte {
	p := make([]byte, 0, greetHeader+len(text))
	p = append(p, "hatilane"...)
	p = binary.LittleEndian.AppendUint32(p, word)
	p = binary.LittleEndian.AppendUint32(p, cfg.Version)
	return append(p, text...)
}

// parseGreeting splits a greeting or an answer.
func parseGreeting(p []byte) (word, version uint32, text string, ok bool) {
	if len(p) < greetHeader || string(p[:8]) != "hatilane" {
		return 0, 0, "", false
	}
	return binary.LittleEndian.Uint32(p[8:]), binary.LittleEndian.Uint32(p[12:]), string(p[greetHeader:]), true
}

var hungUp = fmt.Errorf("%w: it hung up without an answer", ErrPeerDied)

func readAnswer(u *net.UnixConn) error {
	p := make([]byte, 512)
	n, err := u.Read(p)
	if errors.Is(err, unix.ECONNRESET) || err == nil && n == 0 {
		return hungUp
	}
	if err != nil {
		return err
	}
	status, version, text, ok := parseGreeting(p[:n])
	switch {
	case !ok:
		return ErrProtocol
	case status != answerYes:
		return &refused{status, version, text}
	}
	return nil
}

const (
	answerYes     = 1
	answerNo      = 2
	answerVersion = 3
)

// greet is the server's side of a connection's beginning.
func greet(conn *net.UnixConn, cfg Config) (*Lane, error) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(greetTimeout))
	p, oob := make([]byte, 512), make([]byte, 256)
	n, oobn, flags, _, err := conn.ReadMsgUnix(p, oob)
	if err != nil {
		return nil, err
	}
	fds, _ := parseControl(oob[:oobn])
	defer func() { closeFDs(fds) }()
	format, version, protocol, ok := parseGreeting(p[:n])
	var lay layout
	switch {
	case ok && len(fds) == 0 && flags&unix.MSG_CTRUNC != 0:
		err = fmt.Errorf("lane: this server has no descriptors left: %w", unix.EMFILE)
	case !ok || len(fds) != 1:
		err = ErrProtocol
	case format != ringVersion:
		err = fmt.Errorf("%w: this server speaks lane format %d, not %d", ErrVersion, ringVersion, format)
	case protocol != cfg.Protocol:
		err = fmt.Errorf("%w: this server speaks protocol %q, not %q", ErrVersion, cfg.Protocol, protocol)
	case version < cfg.Oldest || version > cfg.Version:
		err = fmt.Errorf("%w: this server speaks versions %d to %d of %q, not %d", ErrVersion, cfg.Oldest, cfg.Version, protocol, version)
	default:
		lay, err = readLayout(fds[0])
	}
	if err == nil && (lay.slots > cfg.Slots || lay.arena > cfg.Arena) {
		err = fmt.Errorf("lane: this server allows %d slots and an arena of %d bytes, not %d and %d: %w",
			cfg.Slots, cfg.Arena, lay.slots, lay.arena, unix.EMSGSIZE)
	}
	if err != nil {
		status := uint32(answerNo)
		if errors.Is(err, ErrVersion) {
			status = answerVersion
		}
		conn.Write(greeting(status, &cfg, err.Error()))
		return nil, err
	}
	cfg.Version = version
	if _, err := conn.Write(greeting(answerYes, &cfg, "")); err != nil {
		return nil, err
	}
	return laneOf(conn, cfg, 1, fds[0], lay)
}

// laneOf makes a lane of a greeted connection.
func laneOf(conn *net.UnixConn, cfg Config, side, memfd int, lay layout) (*Lane, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	sock := -1
	if cerr := raw.Control(func(fd uintptr) { sock, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	cred, err := peerCredentials(sock)
	if err != nil {
		unix.Close(sock)
		return nil, err
	}
	l := &Lane{cfg: cfg, mu: new(sync.Mutex), ended: make(chan struct{})}
	r, err := newRing(l, side, sock, memfd, lay)
	if err != nil {
		unix.Close(sock)
		return nil, err
	}
	r.peer.Store(cred)
	l.ring.Store(r)
	return l, nil
}
