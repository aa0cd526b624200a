#!/bin/bash
# iperf3, over TCP and UDP, with parallel streams, both ways.
# needs: iperf3 python3
port=$("${0%/*}/port")
iperf3 -s -B 127.0.0.1 -p "$port" >/dev/null &
run() { iperf3 -c 127.0.0.1 -p "$port" -J "$@" | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d.get("error"), len(d["start"].get("connected", [])), d["end"].get("sum_received", d["end"].get("sum", {})).get("bytes", 0) > 0)'; }
until iperf3 -c 127.0.0.1 -p "$port" -n 1 >/dev/null 2>&1; do :; done
run -n 20M
run -n 20M -P 3 -R
run -n 5M -Z
run -u -b 50M -n 1M
run -n 5M --bidir
kill %1
wait 2>/dev/null
