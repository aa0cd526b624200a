package overlay

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// fill copies the contents of a lower file, hole by hole, into the open file to.
func fill(ctx context.Context, to vfs.File, from vfs.Node, a *vfs.Attr) error {
	if a.Size == 0 {
		return nil
	}
	src, err := vfs.Open(ctx, from, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	end, err := fillFrom(ctx, to, src, a)
	if err != nil {
		return err
	}
	// A hole at the end is not written, and the host may have cut the file.
	return vfs.SetAttributes(ctx, to.Node(), to, vfs.SetAttr{Valid: vfs.SetSize, Size: end})
}

func fillFrom(ctx context.Context, to, src vfs.File, a *vfs.Attr) (end int64, err error) {
	seeker, _ := src.(vfs.Seeker)
	if a.Blocks*512 >= a.Size {
		seeker = nil // no holes
	}
	buf := make([]byte, min(a.Size, 256<<10))
	for off := int64(0); ; {
		if err := ended(ctx); err != nil {
			return 0, err
		}
		if seeker != nil {
			switch next, err := seeker.SeekData(ctx, off, false); {
			case err == nil:
				off = next
			case is(err, syscall.ENXIO):
				return max(off, a.Size), nil
			}
		}
		n, err := vfs.Read(ctx, src, buf, off)
		if err != nil || n == 0 {
			return off, err
		}
		for done := 0; done < n; {
			m, err := vfs.Write(ctx, to, buf[done:n], off+int64(done))
			if err != nil {
				return 0, err
			}
			done += m
		}
		off += int64(n)
	}
}

// dress gives a copy its original's attributes.
func dress(ctx context.Context, to, from vfs.Node, a *vfs.Attr) error {
	if err := copyXattrs(ctx, to, from); err != nil {
		return err
	}
	s := vfs.SetAttr{
		Valid: vfs.SetMode | vfs.SetUID | vfs.SetGID | vfs.SetAtime | vfs.SetMtime,
		Mode:  a.Mode & 0o7777, UID: a.UID, GID: a.GID, Atime: a.Atime, Mtime: a.Mtime,
	}
	if a.IsSymlink() {
		s.Valid &^= vfs.SetMode // it has none of its own
	}
	return vfs.SetAttributes(ctx, to, nil, s)
}

func copyXattrs(ctx context.Context, to, from vfs.Node) error {
	names, err := vfs.Listxattr(ctx, from)
	if err != nil {
		return nil // none that we could have
	}
	for _, name := range names {
		v, err := vfs.Getxattr(ctx, from, name)
		if err != nil {
			continue // one that the host's user may not read
		}
		if err := vfs.Setxattr(ctx, to, name, v, 0); err != nil && !is(err, syscall.EOPNOTSUPP) {
			return err
		}
	}
	return nil
}
