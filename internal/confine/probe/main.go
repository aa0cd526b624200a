// Command probe confines itself to a directory, as its argument says, and prints
// what it can still do. It is package confine's test: confinement cannot be undone.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/confine"
	"golang.org/x/sys/unix"
)

func main() {
	how, dir := os.Args[1], os.Args[2]
	access := confine.Read
	if how != "read" {
		access |= confine.Write
	}
	var err error
	if strings.HasPrefix(how, "sockets") || how == "network" {
		sockets(how)
		return
	}
	if how == "thread" {
		runtime.LockOSThread()
		err = confine.FilesOfThread(confine.Rule{Path: dir, Access: access})
	} else if err = confine.Files(confine.Rule{Path: dir, Access: access}); err == nil && how == "calls" {
		err = confine.Calls()
	}
	if err != nil {
		fmt.Println("confine:", err)
		os.Exit(1)
	}
	// From several threads: all are confined.
	for range 4 {
		done := make(chan struct{})
		f := func() {
			defer close(done)
			if how != "thread" {
				runtime.LockOSThread() // and end with this goroutine
			}
			try(dir)
		}
		if how == "thread" {
			f()
		} else {
			go f()
		}
		<-done
	}
}

func say(what string, err error) {
	var e syscall.Errno
	switch {
	case err == nil:
		fmt.Print(what, "=ok ")
	case errors.As(err, &e):
		fmt.Print(what, "=", unix.ErrnoName(e), " ")
	default:
		fmt.Print(what, "=", err, " ")
	}
}

// sockets gives up sockets, or all but sockets.
func sockets(how string) {
	given, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		switch how {
		case "network":
			if err = confine.Files(confine.Rule{TCP: true}); err == nil {
				err = confine.NetworkCalls()
			}
		default:
			err = confine.NoSockets(how == "sockets of files")
		}
	}
	if err != nil {
		fmt.Println("confine:", err)
		os.Exit(1)
	}
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	for what, family := range []int{unix.AF_UNSPEC, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_PACKET} {
		if family == unix.AF_UNSPEC {
			continue
		}
		fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
		say([]string{"", "unix", "inet", "inet6", "packet"}[what], err)
		if err == nil {
			unix.Close(fd)
		}
	}
	_, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	say("pair", err)
	say("fastopen", unix.Sendto(given, []byte("x"), unix.MSG_FASTOPEN, &unix.SockaddrInet4{Port: 1, Addr: loopback.Addr}))
	_, err = unix.SendmsgN(given, []byte("x"), nil, nil, unix.MSG_NOSIGNAL)
	say("send", err)
	say("bind", unix.Bind(given, loopback))
	say("listen", unix.Listen(given, 1))
	say("connect", unix.Connect(given, &unix.SockaddrInet4{Port: 1, Addr: loopback.Addr}))
	_, err = os.ReadFile("/etc/passwd")
	say("passwd", err)
	say("kill", unix.Kill(os.Getppid(), 0))
	fmt.Println()
}

func try(dir string) {
	_, err := os.ReadFile(filepath.Join(dir, "f"))
	say("read", err)
	_, err = os.ReadDir(dir)
	say("list", err)
	say("write", os.WriteFile(filepath.Join(dir, "g"), []byte("x"), 0o600))
	say("rename", os.Rename(filepath.Join(dir, "g"), filepath.Join(dir, "h")))
	_, err = os.ReadFile("/etc/passwd")
	say("passwd", err)
	_, err = os.ReadDir("/")
	say("root", err)
	_, err = os.ReadFile(filepath.Join(dir, "..", "outside"))
	say("outside", err)
	_, err = os.ReadFile(filepath.Join(dir, "link"))
	say("link", err)
	say("device", unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
	say("exec", exec.Command("/bin/true").Run())
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	say("socket", err)
	if err == nil {
		say("connect", unix.Connect(fd, &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}))
		unix.Close(fd)
	}
	_, err = net.Dial("unix", "/run/no-such-socket")
	say("unix", err)
	say("kill", unix.Kill(os.Getppid(), 0))
	_, err = unix.MemfdCreate("m", 0)
	say("memfd", err)
	fmt.Println()
}
