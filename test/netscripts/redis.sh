#!/bin/bash
# A redis server over TCP, and its own benchmark.
# needs: redis-server redis-cli redis-benchmark python3
port=$("${0%/*}/port")
redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --daemonize no >/dev/null &
until redis-cli -p "$port" ping 2>/dev/null | grep -q PONG; do :; done
cli() { redis-cli -p "$port" "$@"; }
cli set a 1
cli incr a
cli rpush list x y z
cli lrange list 0 -1
(cli blpop empty 10 &) >blocked
cli eval 'return redis.call("get", KEYS[1])' 1 a
cli rpush empty one
redis-benchmark -p "$port" -n 2000 -c 30 -P 4 -q -t set,get,lpush | tr '\r' '\n' | grep -o '^[A-Z]*: [0-9.]* requests' | cut -d: -f1
python3 - "$port" <<'P'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"SET big " + b"x" * 60000 + b"\r\nSTRLEN big\r\nGET nothing\r\nQUIT\r\n")
print(s.makefile("rb").read())
P
cli shutdown nosave
wait
rm -f blocked
