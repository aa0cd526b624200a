package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A connection begins with two messages on a SOCK_SEQPACKET socket: the client
// sends a greeting with the lane's memory, the server answers with a status and
// a text.
//
//	greeting: "hatilane", lane format uint32, protocol version uint32, protocol name
//	answer:   "hatilane", status uint32 (1 yes, 2 no), protocol version uint32, text
const (
	greetHeader  = 16
	greetTimeout = 10 * time.Second
	greetMax     = 64 // greetings under way at a time
)

// Listener accepts lanes at a path. Its methods may be called concurrently.
type Listener struct {
	cfg   Config
	ln    *net.UnixListener
	ready chan *Lane
	ended chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

// Listen makes a socket at path, with permissions perm: who may write to it may
// connect. cfg bounds what a client may ask for. An existing file is an error.
func Listen(path string, perm fs.FileMode, cfg Config) (*Listener, error) {
	cfg = cfg.withDefaults()
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("lane: %w", err)
	}
	if err := os.Chmod(path, perm); err != nil {
		ln.Close()
		return nil, fmt.Errorf("lane: %w", err)
	}
	l := &Listener{cfg: cfg, ln: ln, ready: make(chan *Lane), ended: make(chan struct{})}
	l.wg.Add(1)
	go l.run()
	return l, nil
}

// ListenAnew is Listen, but replaces a socket that a server left which is gone. One
// at which somebody listens is an error.
func ListenAnew(path string, perm fs.FileMode, cfg Config) (*Listener, error) {
	l, err := Listen(path, perm, cfg)
	if errors.Is(err, unix.EADDRINUSE) && stale(path) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("lane: an old socket: %w", err)
		}
		l, err = Listen(path, perm, cfg)
	}
	return l, err
}

// stale reports whether path is a socket at which nobody listens.
func stale(path string) bool {
	c, err := net.Dial("unixpacket", path)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

// run accepts connections. Each greeting has a goroutine for as long as it
// takes, so that a client that says nothing delays nobody.
func (l *Listener) run() {
	defer l.wg.Done()
	slots := make(chan struct{}, greetMax)
	for {
		select {
		case slots <- struct{}{}:
		case <-l.ended:
			return
		}
		conn, err := l.ln.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			<-slots
			continue
		}
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			defer func() { <-slots }()
			lane, err := greet(conn, l.cfg)
			if err != nil {
				return
			}
			select {
			case l.ready <- lane:
			case <-l.ended:
				lane.Close()
			}
		}()
	}
}

// Accept returns the next lane; ErrClosed after Close.
func (l *Listener) Accept(ctx context.Context) (*Lane, error) {
	select {
	case lane := <-l.ready:
		return lane, nil
	case <-l.ended:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close stops listening and removes the path. Lanes stay.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.ended)
		l.ln.Close()
	})
	l.wg.Wait()
	return nil
}

// Serve accepts lanes and has h answer their requests until ctx ends; then all
// are shut down and the listener is closed. connected, which may be nil, is told
// of each lane before its first request is handled.
func (l *Listener) Serve(ctx context.Context, h Handler, o ServeOptions, connected func(*Lane)) error {
	lanes := make(map[*Lane]struct{})
	var mu sync.Mutex
	defer l.Close()
	for {
		lane, err := l.Accept(ctx)
		if err != nil {
			mu.Lock()
			all := lanes
			lanes = nil
			mu.Unlock()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Grace)
			defer cancel()
			var wg sync.WaitGroup
			for lane := range all {
				wg.Go(func() { lane.Shutdown(grace) })
			}
			wg.Wait()
			return err
		}
		if connected != nil {
			connected(lane)
		}
		mu.Lock()
		lanes[lane] = struct{}{}
		mu.Unlock()
		lane.whenEnded(func() {
			mu.Lock()
			delete(lanes, lane)
			mu.Unlock()
		})
		lane.Handle(h, o)
	}
}

// Dial connects to a Listener's path.
func Dial(ctx context.Context, path string, cfg Config) (*Lane, error) {
	cfg = cfg.withDefaults()
	l, err := dial(ctx, path, cfg)
	var older *otherVersion
	if errors.As(err, &older) && older.version < cfg.Version && older.version >= cfg.Oldest {
		cfg.Version = older.version
		l, err = dial(ctx, path, cfg)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("lane: %s: %w", path, err)
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
	if _, _, err = u.WriteMsgUnix(greeting(ringVersion, &cfg, cfg.Protocol), unix.UnixRights(memfd), nil); err == nil {
		err = readAnswer(u)
	}
	if err != nil {
		return nil, err
	}
	return laneOf(u, cfg, 0, memfd, lay)
}

// otherVersion is a server's refusal of a version, with its own.
type otherVersion struct {
	version uint32
	text    string
}

func (e *otherVersion) Error() string { return ErrVersion.Error() + ": " + e.text }
func (e *otherVersion) Unwrap() error { return ErrVersion }

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

func readAnswer(u *net.UnixConn) error {
	p := make([]byte, 512)
	n, err := u.Read(p)
	if err != nil {
		return err
	}
	status, version, text, ok := parseGreeting(p[:n])
	switch {
	case !ok:
		return ErrProtocol
	case status != answerYes:
		return &otherVersion{version, text}
	}
	return nil
}

const (
	answerYes = 1
	answerNo  = 2
)

// greet is the server's side of a connection's beginning.
func greet(conn *net.UnixConn, cfg Config) (*Lane, error) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(greetTimeout))
	p, oob := make([]byte, 512), make([]byte, 256)
	n, oobn, _, _, err := conn.ReadMsgUnix(p, oob)
	if err != nil {
		return nil, err
	}
	fds, _ := parseControl(oob[:oobn])
	defer func() { closeFDs(fds) }()
	format, version, protocol, ok := parseGreeting(p[:n])
	var lay layout
	switch {
	case !ok || len(fds) != 1:
		err = ErrProtocol
	case format != ringVersion:
		err = fmt.Errorf("%w: this server speaks lane format %d, not %d", ErrVersion, ringVersion, format)
	case protocol != cfg.Protocol:
		err = fmt.Errorf("%w: this server speaks protocol %q, not %q", ErrVersion, cfg.Protocol, protocol)
	case version < cfg.Oldest || version > cfg.Version:
		err = fmt.Errorf("%w: this server speaks version %d of %q, not %d", ErrVersion, cfg.Version, protocol, version)
	default:
		lay, err = readLayout(fds[0])
	}
	if err == nil && (lay.slots > cfg.Slots || lay.arena > cfg.Arena) {
		err = fmt.Errorf("%w: this server allows %d slots and %d bytes, not %d and %d", ErrProtocol,
			cfg.Slots, cfg.Arena, lay.slots, lay.arena)
	}
	if err != nil {
		conn.Write(greeting(answerNo, &cfg, err.Error()))
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
