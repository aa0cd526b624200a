#!/bin/bash
# socat and three kinds of nc, over TCP and UDP, IPv4 and IPv6.
# needs: socat nc.openbsd nc.traditional python3
up() { until socat -u OPEN:/dev/null "$1" 2>/dev/null; do :; done; }
p=$("${0%/*}/port")
socat TCP-LISTEN:"$p",bind=127.0.0.1,reuseaddr,fork EXEC:'tr a-z A-Z' &
one=$!
up "TCP:127.0.0.1:$p"
echo by socat | socat - "TCP:127.0.0.1:$p"
echo by openbsd | nc.openbsd -N 127.0.0.1 "$p"
echo by traditional | nc.traditional -q 1 127.0.0.1 "$p"
seq 1 100000 | socat -t 5 - "TCP:127.0.0.1:$p" | cksum
exec 3<>"/dev/tcp/127.0.0.1/$p"
echo by bash >&3
exec 3>&-
kill $one
q=$("${0%/*}/port")
socat "UDP6-RECVFROM:$q,bind=[::1],fork" EXEC:rev &
two=$!
until echo abc | socat -t 1 - "UDP6:[::1]:$q" 2>/dev/null | grep cba; do :; done
echo datagram | socat -t 0.2 - "UDP6:[::1]:$q"
kill $two
nc.openbsd -z 127.0.0.1 "$p"
echo "nobody there: $?"
r=$("${0%/*}/port")
socat TCP4-LISTEN:"$r",reuseaddr SYSTEM:'head -c 300000 /dev/zero; cat >/dev/null' &
up=$!
until nc.openbsd -N 127.0.0.1 "$r" </dev/null 2>/dev/null >got && [ -s got ]; do :; done
wc -c <got
wait 2>/dev/null
rm -f got
