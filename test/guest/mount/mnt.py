import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
RDONLY, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 4, 8, 32, 4096, 16384, 1 << 18
NOSUID, NOATIME, NODIRATIME, STRICTATIME, RELATIME, NOSYMFOLLOW, MOVE, SHARED = 2, 1 << 10, 1 << 11, 1 << 24, 1 << 21, 256, 8192, 1 << 20
FORCE, DETACH, EXPIRE, NOFOLLOW = 1, 2, 4, 8
def result(r):
    return "ok" if r == 0 else errno.errorcode[ctypes.get_errno()]
def b(s):
    return s.encode() if s is not None else None
def mount(src, dst, kind, flags=0, data=None):
    return result(libc.mount(b(src), b(dst), b(kind), flags, b(data)))
def umount(dst, flags=0):
    return result(libc.umount2(b(dst), flags))
def write(path):
    try:
        open(path, "w").close()
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
