# shared maps of files in the directory $1; $2, if given, is what the daemon shows
# there. The output is compared with a plain directory's.
import ctypes, mmap, os, signal, sys

top = sys.argv[1]
back = sys.argv[2] if len(sys.argv) > 2 else top
os.chdir(top)
libc = ctypes.CDLL(None, use_errno=True)


def behind(name, n=20, off=0):
    'what the daemon has'
    with open(os.path.join(back, name), 'rb') as f:
        f.seek(off)
        return f.read(n)


def new(name, size, fill=b'.'):
    f = open(name, 'w+b', buffering=0)
    f.write(fill * size)
    return f


f = new('plain', 10000)
fd = f.fileno()
m = mmap.mmap(fd, 10000)
m[0:5] = b'store'
print('read sees the store', os.pread(fd, 8, 0))
other = os.open('plain', os.O_RDONLY)
print('another open file, too', os.pread(other, 8, 0))
os.pwrite(fd, b'WRITE', 2)
print('the map sees the write', m[0:8])
m.flush()
print('behind after msync', behind('plain'))
m[5000:5004] = b'page'
os.fsync(fd)
print('behind after fsync', behind('plain', 6, 4999))
m[9990:9995] = b'close'
os.close(os.dup(fd))
print('behind after close', behind('plain', 6, 9990))
m[100:104] = b'unm1'
m.close()
print('behind after munmap', behind('plain', 4, 100))
print('size', os.fstat(fd).st_size, len(behind('plain', 99999)))

m = mmap.mmap(fd, 10000)
pid = os.fork()
if pid == 0:
    m[200:205] = b'child'
    os._exit(0)
os.waitpid(pid, 0)
print('a child stored', m[200:205], behind('plain', 5, 200))
pid = os.fork()
if pid == 0:
    m[300:304] = b'exec'
    os.execv('/bin/true', ['true'])
os.waitpid(pid, 0)
print('one that called exec', m[300:304], behind('plain', 4, 300))
pid = os.fork()
if pid == 0:
    m[400:404] = b'kill'
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(pid, 0)
print('one that was killed', m[400:404], os.pread(fd, 4, 400))

# two maps of one file are one memory
g = open('plain', 'r+b', buffering=0)
m2 = mmap.mmap(g.fileno(), 4096)
m2[500:503] = b'two'
print('two maps', m[500:503])
g.close()
m2[600:606] = b'closed'
m2.close()
print('descriptor closed before', behind('plain', 6, 600))

# sizes
os.ftruncate(fd, 20000)
print('grown', os.fstat(fd).st_size, os.pread(fd, 3, 9999), os.pread(fd, 3, 15000))
m.resize(20000)
m[19990:20000] = b'0123456789'
m.flush()
print('behind the old end', behind('plain', 20, 19985))
os.ftruncate(fd, 5000)
print('shrunk', os.fstat(fd).st_size, len(behind('plain', 99999)))
print('zeros behind the end', m[4998:5004])
m[5001:5003] = b'xx'
m.flush()
os.ftruncate(fd, 6000)
print('nothing of that stays', m[4998:5004], os.pread(fd, 6, 4998))
pid = os.fork()
if pid == 0:
    m[12000]
    os._exit(0)
print('behind the last page', os.waitpid(pid, 0)[1])
m.close()
f.close()
print(len(behind('plain', 99999)))

# appending while mapped
f = new('app', 100)
m = mmap.mmap(f.fileno(), 100)
m[0:3] = b'map'
a = os.open('app', os.O_WRONLY | os.O_APPEND)
os.write(a, b'appended')
print('append', os.pread(f.fileno(), 4, 0), os.pread(f.fileno(), 10, 98))
m.close()
f.close()
print(behind('app', 200))

# read-only maps of a descriptor that can write, and made writable later
f = new('ro', 4096)
m = mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ)
p = mmap.mmap(f.fileno(), 4096, flags=mmap.MAP_PRIVATE)
p[0:4] = b'priv'
os.pwrite(f.fileno(), b'new', 1)
print('shared', m[0:5], 'private', p[0:5])
r = open('ro', 'rb', buffering=0)
try:
    mmap.mmap(r.fileno(), 4096)
except OSError as e:
    print(e.strerror)
m.close()

# removed while mapped
m = mmap.mmap(f.fileno(), 4096)
os.remove('ro')
m[0:4] = b'gone'
m.flush()
print('removed', os.pread(f.fileno(), 5, 0), m[0:5])
m.close()
f.close()

# many files at once, and a large one
files = [new('f%d' % i, 8192) for i in range(100)]
maps = [mmap.mmap(f.fileno(), 8192) for f in files]
for i, m in enumerate(maps):
    m[i:i + 4] = b'%4d' % i
for m in maps:
    m.close()
print('many', all(behind('f%d' % i, 4, i) == b'%4d' % i for i in range(100)))
f = open('large', 'w+b', buffering=0)
os.ftruncate(f.fileno(), 16 << 20)
m = mmap.mmap(f.fileno(), 16 << 20)
for at in range(0, 16 << 20, 1 << 20):
    m[at + 7:at + 11] = b'here'
m.flush()
print('large', all(behind('large', 4, at + 7) == b'here' for at in range(0, 16 << 20, 1 << 20)))
print(behind('large', 4, 1 << 20), m[(5 << 20) + 7:(5 << 20) + 11])
m.close()
f.close()

# mremap and msync of what is not mapped
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
f = new('moved', 16384)
a = libc.mmap(None, 16384, 3, 1, f.fileno(), 0)
ctypes.memmove(a + 4096, b'one', 3)
libc.munmap(a + 4096, 4096)
print('a hole', behind('moved', 3, 4096))
ctypes.memmove(a + 8192, b'two', 3)
print('msync over it', libc.msync(a, 16384, 4), ctypes.get_errno(), behind('moved', 3, 8192))
b = libc.mremap(a + 8192, 8192, 16384, 1)
ctypes.memmove(b + 4096, b'three', 5)
libc.munmap(b, 16384)
print('moved', behind('moved', 5, 12288))
ctypes.memmove(a, b'four', 4)
libc.mmap(a, 4096, 3, 0x32, -1, 0)
print('mapped over', behind('moved', 4))
