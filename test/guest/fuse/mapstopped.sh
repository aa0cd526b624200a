# stops the daemon $1 while a program has stored to a map, and ends that program
# in the ways there are
mkdir /tmp/back /tmp/m
"$1" -f -o source=/tmp/back /tmp/m &
daemon=$!
until grep -q ' /tmp/m fuse' /proc/mounts; do sleep 0.02; done
cat >/tmp/p.py <<'PY'
import mmap, os, signal, sys
f = open('/tmp/m/' + sys.argv[1], 'w+b', buffering=0)
f.write(b'.' * 8192)
m = mmap.mmap(f.fileno(), 8192)
os.kill(int(sys.argv[2]), signal.SIGSTOP)
m[0:3] = b'new'
open('/tmp/stored', 'w').close()
{'msync': m.flush, 'munmap': m.close, 'fsync': lambda: os.fsync(f.fileno()), 'close': lambda: os.close(f.fileno()), 'exit': lambda: os._exit(0)}[sys.argv[1]]()
PY
for how in msync munmap fsync close; do
	rm -f /tmp/stored
	python3 /tmp/p.py $how $daemon &
	p=$!
	until [ -e /tmp/stored ]; do sleep 0.02; done
	sleep 0.1 # so that it waits, or not: it is to be killed in any case
	kill -9 $p
	wait $p
	echo "$how: $(($? - 128))"
	kill -CONT $daemon
	until [ "$(head -c 3 /tmp/back/$how)" = new ]; do sleep 0.02; done
	echo "written back by itself"
done 2>/dev/null
python3 /tmp/p.py exit $daemon
echo "exit: $?"
kill -9 $daemon
wait $daemon 2>/dev/null
umount /tmp/m && echo unmounted
