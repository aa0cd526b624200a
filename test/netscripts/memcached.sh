#!/bin/bash
# memcached with four threads, and a hundred connections at once.
# needs: memcached python3
port=$("${0%/*}/port")
memcached -l 127.0.0.1 -p "$port" -t 4 -u root &
python3 - "$port" <<'P'
import socket, sys, threading
at = ("127.0.0.1", int(sys.argv[1]))
while True:
    try:
        socket.create_connection(at).close()
        break
    except ConnectionRefusedError:
        pass
bad = []
def one(i):
    s = socket.create_connection(at)
    f = s.makefile("rwb")
    for j in range(20):
        v = b"v" * (i * 37 + j)
        f.write(b"set k%d 0 0 %d\r\n%s\r\nget k%d\r\n" % (i, len(v), v, i))
        f.flush()
        got = [f.readline() for _ in range(4)]
        if got != [b"STORED\r\n", b"VALUE k%d 0 %d\r\n" % (i, len(v)), v + b"\r\n", b"END\r\n"]:
            bad.append((i, j, got))
threads = [threading.Thread(target=one, args=(i,)) for i in range(100)]
[t.start() for t in threads]
[t.join() for t in threads]
print("wrong:", bad[:3])
P
kill %1
wait
