package hati

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// keeperName is the program name under which this program starts servers anew for
// an isolated one, which has no right to the files that they need. The keeper has
// those rights, and does nothing but that: who breaks into the isolated program
// gets no more from it than another lane to a server that it has already.
const keeperName = "hati-keeper"

// keep starts the server whose index it is told, in place of the one before, and
// answers with our end of its socket, until nobody can ask any more.
func keep() error {
	var specs []serverSpec
	if err := readSpec(&specs); err != nil {
		return err
	}
	conn, err := unixConn(os.NewFile(3, "keeper"))
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the servers die with it
	running := make([]*os.Process, len(specs))
	var p [8]byte
	for {
		n, err := conn.Read(p[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		i := binary.LittleEndian.Uint32(p[:])
		if n != 4 || int64(i) >= int64(len(specs)) {
			return fmt.Errorf("asked for server %d of %d: %w", i, len(specs), syscall.EPROTO)
		}
		if old := running[i]; old != nil {
			old.Kill()
			old.Wait()
			running[i] = nil
		}
		cmd, socket, err := specs[i].launch((*exec.Cmd).Start)
		if err != nil {
			_, err = conn.Write([]byte(err.Error()))
		} else {
			running[i] = cmd.Process
			_, _, err = conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(socket.Fd())), nil)
			socket.Close()
		}
		if err != nil {
			return err
		}
	}
}

// unixConn makes a connection of a socket, which it closes.
func unixConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("descriptor %s is no unix socket: %w", f.Name(), syscall.EINVAL)
	}
	return conn, nil
}

// keeper is the isolated program's end.
type keeper struct {
	mu   sync.Mutex // held from a question to its answer
	conn *net.UnixConn
}

// start has a server started anew.
func (k *keeper) start(index int) (*instance, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var p [512]byte
	binary.LittleEndian.PutUint32(p[:], uint32(index))
	if _, err := k.conn.Write(p[:4]); err != nil {
		return nil, fmt.Errorf("asking for a server to be started anew: %w", err)
	}
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := k.conn.ReadMsgUnix(p[:], oob)
	if err != nil {
		return nil, fmt.Errorf("who starts servers anew is gone: %w", err)
	}
	if m, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(m) == 1 {
		if fds, err := unix.ParseUnixRights(&m[0]); err == nil && len(fds) == 1 {
			return &instance{os.NewFile(uintptr(fds[0]), "lane"), func() {}}, nil // it ends with its lane
		}
	}
	return nil, fmt.Errorf("starting a server anew: %s", p[:n])
}
