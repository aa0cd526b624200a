# what is told of write-backs that fail, in the directory $1
import errno, mmap, os, sys

os.chdir(sys.argv[1])


def tell(what, f):
    try:
        f()
        print(what, 'ok')
    except OSError as e:
        print(what, errno.errorcode[e.errno])


f = open('bad', 'w+b', buffering=0)
f.write(b'.' * 10000)
fd = f.fileno()
g = os.open('bad', os.O_RDWR)
m = mmap.mmap(fd, 10000)
m[0:3] = b'one'
tell('msync', m.flush)
tell('again', m.flush)
tell('fsync', lambda: os.fsync(fd))
tell('fsync of another open file', lambda: os.fsync(g))
tell('again', lambda: os.fsync(g))
tell('close', lambda: os.close(os.dup(fd)))
m[0:3] = b'two'
tell('close', lambda: os.close(os.dup(fd)))
tell('again', lambda: os.close(os.dup(fd)))
tell('msync', m.flush)
tell('fsync', lambda: os.fsync(fd))
print(m[0:3], os.pread(fd, 3, 0))
m[0:3] = b'3rd'
m.close()
tell('fsync after munmap', lambda: os.fsync(fd))
tell('close', lambda: os.close(g))
h = os.open('bad', os.O_RDWR)
tell('fsync of one opened later', lambda: os.fsync(h))
m = mmap.mmap(fd, 10000)
m[0:3] = b'4th'
m.close()
tell('close after munmap', lambda: os.close(fd))
