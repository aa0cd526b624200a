package hati

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
)

// openHost is hostFS, behind a guard where a host file system is shown that may
// stop answering: the calls of the others end by themselves, and a guard would
// only cost time.
func (b *Box) openHost(dir string, o host.Options) (vfs.FS, error) {
	fs, err := b.hostFS(dir, o)
	if err != nil || b.isolation != NotIsolated || !mayHang(dir) {
		return fs, err
	}
	return b.guarded(fs, "hostfs of "+dir), nil
}

// remoteTypes are the file systems whose server is elsewhere: across a network,
// or a process. Calls to one that is gone hang, some of them for good.
var remoteTypes = map[string]bool{
	"9p": true, "afs": true, "autofs": true, "ceph": true, "cifs": true, "coda": true, "fuse": true, "fuseblk": true,
	"gfs2": true, "lustre": true, "ncpfs": true, "nfs": true, "nfs4": true, "ocfs2": true, "orangefs": true,
	"pvfs2": true, "smb3": true, "smbfs": true, "virtiofs": true, "vboxsf": true, "vmhgfs": true,
}

// mayHang reports whether such a file system shows in the tree of dir. It asks
// the kernel's list, not the files.
func mayHang(dir string) bool {
	abs, err := filepath.Abs(dir)
	if real, e := filepath.EvalSymlinks(abs); e == nil {
		abs = real
	}
	if err != nil {
		return true
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return true
	}
	defer f.Close()
	return remoteMount(abs, f)
}

// remoteMount reads mountinfo (proc_pid_mountinfo(5)). What it cannot read counts
// as one that may hang.
func remoteMount(dir string, mountinfo io.Reader) bool {
	best, bestRemote := "", false
	s := bufio.NewScanner(mountinfo)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		before, after, ok := strings.Cut(s.Text(), " - ")
		fields := strings.Fields(before)
		kind, _, _ := strings.Cut(after, " ")
		if !ok || len(fields) < 5 {
			return true
		}
		at := unescape(fields[4])
		kind, _, _ = strings.Cut(kind, ".") // fuse.sshfs
		remote := remoteTypes[kind]
		if remote && inside(at, dir) {
			return true
		}
		if inside(dir, at) && len(at) >= len(best) {
			best, bestRemote = at, remote // the last one at a place covers the others
		}
	}
	return s.Err() != nil || bestRemote
}

// inside reports whether path is dir or below it.
func inside(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// unescape decodes mountinfo's \040 and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
