# files whose daemon lets reads and writes through to what is behind them, in the
# directory $1. The output is compared with a plain directory's.
import mmap, os, sys

os.chdir(sys.argv[1])
with open('f', 'wb') as f:
    f.write(b'contents' * 1000)
r = os.open('f', os.O_RDONLY)
w = os.open('f', os.O_RDWR)  # the same behind it, with more access
a = os.open('f', os.O_WRONLY | os.O_APPEND)
print(os.write(w, b'NEW'), os.pread(r, 8, 0), os.lseek(w, 0, 1))
print(os.write(a, b'end'), os.fstat(r).st_size, os.pread(r, 6, 7997))
for op in (lambda: os.write(r, b'x'), lambda: os.read(a, 1)):
    try:
        op()
    except OSError as e:
        print(e.strerror)
m = mmap.mmap(w, 8003)
print(m[0:8])
m[8:12] = b'maps'
print(os.pread(r, 8, 8))
os.pwrite(a, b'tail', 0)
print(os.fstat(w).st_size)
os.ftruncate(w, 100)
print(os.fstat(r).st_size, os.pread(r, 10, 95))
m.close()
os.posix_fallocate(w, 0, 5000)
print(os.fstat(r).st_size, os.lseek(r, 0, os.SEEK_END), os.lseek(r, 10, os.SEEK_DATA))
os.fsync(w)
os.rename('f', 'g')
os.remove('g')
print(os.pread(r, 8, 8), os.write(w, b'still'), os.fstat(w).st_nlink)
try:
    os.stat('g')
except OSError as e:
    print(e.strerror)
for fd in (r, w, a):
    os.close(fd)
fds = []
for i in range(300):
    with open('n%d' % i, 'w') as f:
        f.write(str(i))
    fds.append(os.open('n%d' % i, os.O_RDONLY))
print(all(os.read(fd, 9) == str(i).encode() for i, fd in enumerate(fds)))
for i, fd in enumerate(fds):
    os.close(fd)
    os.remove('n%d' % i)
n = os.open('new', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o400)
print(os.write(n, b'created'), os.pread(n, 9, 0), oct(os.fstat(n).st_mode))
os.execv('/bin/ls', ['ls'])
