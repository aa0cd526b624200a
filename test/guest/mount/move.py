import os, subprocess, sys
sys.path.insert(0, os.path.dirname(__file__))
from mnt import *
top = os.path.realpath(sys.argv[1])
os.chdir(top)
os.chmod(".", 0o755)
mount(None, "/", None, REC | PRIVATE)
def shown(place):
    "the options of a mount, and what of its file system it shows"
    return [(f[5], f[3]) for f in (l.split() for l in open("/proc/self/mountinfo")) if f[4] == os.path.join(top, place)]
def below():
    return sorted(l.split()[4][len(top):] for l in open("/proc/self/mountinfo") if l.split()[4].startswith(top + "/"))
for d in ("a", "b", "c", "p/q"):
    os.makedirs(d)
open("g", "w").close()

# Flags.
print(mount("x", "a", "tmpfs", NOSUID | NODEV | NOEXEC | NOATIME, "mode=755"), shown("a"))
os.makedirs("a/d/e"); open("a/d/f", "w").write("f"); open("a/h", "w").close(); os.symlink("d/f", "a/link")
for flags in (0, NOSUID, NODIRATIME, STRICTATIME, RELATIME, NOATIME | RDONLY, NOSYMFOLLOW):
    print("remount %x:" % flags, mount(None, "a", None, REMOUNT | BIND | flags), shown("a"), os.statvfs("a").f_flag & 0x243f)
    for f in ("a/link", "a/d/f"):
        try:
            print(open(f).read(), end=" ")
        except OSError as e:
            print(errno.errorcode[e.errno], end=" ")
print(mount(None, "a", None, REMOUNT | BIND))
os.utime("a/d/f", (1, 1))
for flags in (NOATIME, STRICTATIME):
    mount(None, "a", None, REMOUNT | BIND | flags)
    open("a/d/f").read()
    print("read, atime moved:", os.stat("a/d/f").st_atime > 1)
print(mount(None, "a", None, REMOUNT | BIND))
print("propagation:", mount(None, "a", None, SHARED | PRIVATE), mount(None, "a/d", None, PRIVATE), mount(None, "a", None, PRIVATE | REC), mount(None, "a", None, PRIVATE | RDONLY))
print("bind:", mount("a/d", "b", None, BIND), shown("b"), sorted(os.listdir("b")))
print("bind of a bind:", mount("b/e", "c", None, BIND), shown("c"), umount("c"))
print("bind a file:", mount("a/d/f", "g", None, BIND), shown("g"))

# Moves.
print("no mount:", mount("a/d", "c", None, MOVE), mount("none", "c", None, MOVE), mount("a", "none", None, MOVE), mount("", "c", None, MOVE))
print("file and directory:", mount("g", "c", None, MOVE), mount("a", "g", None, MOVE))
print("inside:", mount("y", "a/d/e", "tmpfs"), below())
print("into itself:", mount("a", "a/d/e", None, MOVE), mount("a", "a/d", None, MOVE))
os.chdir("a/d")
print("move:", mount(os.path.join(top, "a"), os.path.join(top, "c"), None, MOVE), os.getcwd() == os.path.join(top, "c/d"), sorted(os.listdir(".")))
os.chdir("../..")
print(os.getcwd() == top, below(), os.listdir("a"), sorted(os.listdir("c")))
print("as it was:", shown("c"), os.path.samefile("c/d", "b"))
open("c/d/e/new", "w").close()
print("back below another:", mount("b", "p/q", None, MOVE), below(), sorted(os.listdir("p/q")))
print("on top of one:", mount("p/q", "c", None, MOVE), below(), sorted(os.listdir("c")))
print("away again:", mount("c", "b", None, MOVE), below(), sorted(os.listdir("c")))
print("a file:", mount("g", "b/f", None, MOVE), below(), os.path.getsize("b/f"), os.path.getsize("g"))
os.mkdir("c/x")
print("in the same directory:", mount("c/d/e", "c/x", None, MOVE), below(), os.listdir("c/x"), os.listdir("c/d/e"))
os.rename("p", "r")
print("an open file:", end=" ")
fd = os.open("c/h", os.O_RDONLY)
print(mount("c", "r/q", None, MOVE), os.readlink("/proc/self/fd/%d" % fd) == os.path.join(top, "r/q/h"), umount("r/q"))
os.close(fd)
print(umount("r/q/x"), umount("b/f"), umount("b"), umount("r/q"), below())

# util-linux.
def run(*argv):
    p = subprocess.run(argv, capture_output=True, text=True)
    print(*argv, p.returncode, p.stdout.replace(top, ""), p.stderr.replace(top, "").split("\n")[0])
def find():
    run("findmnt", "-rn", "-o", "TARGET,FSROOT,VFS-OPTIONS,PROPAGATION", "-R", top + "/a")
run("mount", "-t", "tmpfs", "-o", "nosuid,noatime,size=1m", "none", "a")
os.makedirs("a/d/e")
run("mount", "--bind", "a/d", "b")
run("mount", "-o", "bind,ro,nodev", "a/d", "c")
find()
print(shown("b"), shown("c"), write("c/w"))
run("mount", "-o", "remount,bind,rw,noexec", "c")
run("mount", "-o", "remount,nodev", "a")
print(shown("a"), shown("c"), write("c/w"))
run("mount", "--move", "b", "r/q")
run("mount", "--make-private", "r/q")
run("mount", "--make-rprivate", "a")
run("mountpoint", "r/q"); run("mountpoint", "b")
run("umount", "r/q"); run("umount", "b")
run("mount", "--rbind", "a", "b")
run("umount", "-l", "b")
run("umount", "c")
run("umount", "a", "b")
print(below())
