package hati

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// hostsMax is the longest /etc/hosts that is looked into: longer ones block
// advertisements, and are not copied for a name.
const hostsMax = 64 << 10

// nameInHosts has a name of the box's own mean 127.0.0.1 in its /etc/hosts, unless it
// means something there already. Only the box sees the line. A box without the file, or
// with something else in its place, stays as it is.
func nameInHosts(ctx context.Context, fs vfs.FS, name string) error {
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '#' || r > '~' }) {
		return nil
	}
	node, err := fs.Root(ctx)
	for _, step := range []string{"etc", "hosts"} {
		if err == nil {
			node, err = vfs.Lookup(ctx, node, step)
		}
	}
	if err == syscall.ENOENT || err == syscall.ENOTDIR {
		return nil
	}
	var a vfs.Attr
	if err == nil {
		a, err = node.Stat(ctx)
	}
	if err == nil && a.IsRegular() && a.Size <= hostsMax {
		err = appendHost(ctx, node, a.Size, name)
	}
	if err != nil {
		return fmt.Errorf("giving the name %s an address in /etc/hosts: %w", name, err)
	}
	return nil
}

func appendHost(ctx context.Context, node vfs.Node, size int64, name string) error {
	f, err := vfs.Open(ctx, node, unix.O_RDONLY)
	if err != nil {
		return err
	}
	text := make([]byte, size)
	n, err := vfs.Read(ctx, f, text, 0)
	f.Close()
	if err != nil {
		return err
	}
	text = text[:n]
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if names := strings.Fields(line); len(names) > 1 && slices.Contains(names[1:], name) {
			return nil
		}
	}
	line := "127.0.0.1\t" + name + "\n"
	if n > 0 && text[n-1] != '\n' {
		line = "\n" + line
	}
	if f, err = vfs.Open(ctx, node, unix.O_WRONLY); err != nil {
		return err
	}
	defer f.Close()
	_, err = vfs.Write(ctx, f, []byte(line), int64(n))
	return err
}
