#!/usr/bin/env python3
# Prints a port of 127.0.0.1 that nobody has, and that the system gives to nobody who
# does not ask for it: till a server has it, nobody else will.
import random, socket

low, high = map(int, open("/proc/sys/net/ipv4/ip_local_port_range").read().split())
ports = [p for p in range(10000, 65536) if not low <= p <= high] or range(10000, 65536)
while True:
    port = random.choice(ports)
    with socket.socket() as s:
        try:
            s.bind(("", port))
        except OSError:
            continue
    print(port)
    break
