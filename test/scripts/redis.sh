#!/bin/bash
# needs: redis-server redis-cli redis-benchmark
redis-server --port 0 --unixsocket "$PWD/s" --save '' --appendonly yes --appendfsync always --daemonize no >log 2>&1 &
pid=$!
for _ in $(seq 200); do redis-cli -s s ping >/dev/null 2>&1 && break; sleep 0.05; done
c() { redis-cli -s s "$@"; }
c set k v; c get k; c incr n; c incrby n 41; c lpush l 1 2 3; c lrange l 0 -1; c eval 'return redis.call("get","k")' 0
redis-benchmark -s s -n 2000 -c 10 -q -t set,get >bench 2>&1 && echo benchmark
c bgsave >/dev/null; c dbsize | grep -c .; c shutdown nosave; wait $pid; echo $?
rm -rf log bench appendonlydir dump.rdb s
