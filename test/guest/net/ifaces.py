# What Python and the kernel's own interfaces tell of the network, without what changes
# from one moment to the next.
import ctypes, errno, fcntl, os, socket, struct

print(socket.if_nameindex(), socket.if_nametoindex("lo"), socket.if_indextoname(1))
for host in "localhost", socket.gethostname(), "127.0.0.1", "::1":
    for flags in 0, socket.AI_ADDRCONFIG, socket.AI_NUMERICHOST:
        try:
            print(host, flags, socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=flags))
        except OSError as e:
            print(host, flags, e)

# Interface ioctls, on sockets of all families.
IOCTLS = dict(NAME=0x8910, FLAGS=0x8913, ADDR=0x8915, DSTADDR=0x8917, BRDADDR=0x8919, NETMASK=0x891b, METRIC=0x891d,
              MTU=0x8921, ENCAP=0x8925, HWADDR=0x8927, SLAVE=0x8929, INDEX=0x8933, COUNT=0x8938, TXQLEN=0x8942,
              ETHTOOL=0x8946, MIIPHY=0x8947, MAP=0x8970)
names = [n.encode() for _, n in socket.if_nameindex()] + [b"nonesuch", b"lo:1", b""]
for family in socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK:
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        for cmd in IOCTLS:
            for name in names:
                buf = bytearray(struct.pack("16si20x", name, 1))
                try:
                    fcntl.ioctl(s, IOCTLS[cmd], buf)
                    print(family.name, cmd, name, buf.hex())
                except OSError as e:
                    print(family.name, cmd, name, errno.errorcode[e.errno])
        space = ctypes.create_string_buffer(4096)
        address = ctypes.addressof(space)
        for room, at in (4096, address), (40, address), (79, address), (0, address), (0, 0):
            conf = bytearray(struct.pack("i4xP", room, at))
            fcntl.ioctl(s, 0x8912, conf)
            n = struct.unpack("i", conf[:4])[0]
            print(family.name, "CONF", room, n, space[:n].hex() if at else "")

# rtnetlink, by hand.
DUMP, REQUEST, ACK = 0x300, 1, 4
SILENT = {18: {7, 23, 26, 35, 47, 48}, 22: {6}, 26: {12}}  # counters and ages


def attributes(b):
    while len(b) >= 4:
        n, typ = struct.unpack_from("HH", b)
        if n < 4:
            break
        yield typ & 0x3fff, b[4:n]
        b = b[n + 3 & ~3:]


def ask(s, typ, flags, body, size):
    s.send(struct.pack("IHHII", 16 + len(body), typ, flags | REQUEST, 99, 0) + body)
    while True:
        n = s.recv_into(bytearray(1), 1, socket.MSG_PEEK | socket.MSG_TRUNC)
        b, anc, flags_got, sender = s.recvmsg(65536, 1024)
        assert n == len(b) and not anc and not flags_got, (n, len(b), anc, flags_got)
        assert sender == (0, 0), sender
        while b:
            n, got, gflags, seq, pid = struct.unpack_from("IHHII", b)
            assert seq == 99 and pid == s.getsockname()[0], (seq, pid)
            payload = b[16:n]
            b = b[n + 3 & ~3:]
            if got == 3:
                print("  done", gflags, payload.hex())
                return
            if got == 2:
                print("  error", gflags, struct.unpack_from("i", payload)[0], payload[4:].hex()[:24])
                return
            kept = [(t, v.hex()) for t, v in attributes(payload[size:]) if t not in SILENT[typ]]
            print("  ", got, gflags, payload[:size].hex(), kept)
            if not flags & DUMP and not flags & ACK:
                return


s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
print(s.getsockname())
s.bind((0, 0))
print(s.getsockname()[0] == os.getpid(), s.getsockname()[1], s.getpeername())
other = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0)
other.bind((0, 1))
print(other.getsockname()[0] > 1 << 31, other.getsockname()[1])
for level, opt in (1, 3), (1, 4), (1, 7), (1, 8), (1, 38), (1, 39), (270, 10), (270, 12), (270, 3):
    print(level, opt, s.getsockopt(level, opt))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
other.setsockopt(270, 1, 5)
for what in lambda: s.listen(1), lambda: s.accept(), lambda: s.shutdown(2), lambda: s.send(b""), \
        lambda: other.bind((other.getsockname()[0] - 1, 0)), lambda: other.recv(1, socket.MSG_DONTWAIT), \
        lambda: s.setsockopt(270, 1, 0), lambda: s.setsockopt(270, 99, 0), lambda: s.recv(1, socket.MSG_OOB), \
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_STREAM, 0), lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 99):
    try:
        print(what())
    except OSError as e:
        print(errno.errorcode[e.errno])
for family in 0, socket.AF_INET, socket.AF_INET6:
    for typ, size in (18, 16), (22, 8), (26, 12):
        print("dump", typ, family)
        ask(s, typ, DUMP, struct.pack("B", family) + bytes(size - 1), size)
        ask(s, typ, DUMP | ACK, struct.pack("B", family), size)


def attr(typ, value):
    return (struct.pack("HH", 4 + len(value), typ) + value).ljust(4 + len(value) + 3 & ~3, b"\0")


print("single")
ask(s, 18, ACK, struct.pack("BxHiII", 0, 0, 1, 0, 0), 16)
ask(s, 18, 0, bytes(16) + attr(3, b"lo\0"), 16)
ask(s, 18, 0, bytes(16) + attr(3, b"nonesuch\0"), 16)
ask(s, 18, 0, bytes(16), 16)
ask(s, 18, 0, bytes(8), 16)
ask(s, 22, 0, struct.pack("B7x", socket.AF_INET), 8)
ask(s, 26, 0, struct.pack("BB10x", socket.AF_INET, 32) + attr(1, socket.inet_aton("127.0.0.1")), 12)
ask(s, 26, 0, struct.pack("B11x", 77), 12)
ask(s, 5000, 0, bytes(20), 20)
ask(s, 17, ACK, b"", 0)
s.setsockopt(270, 10, 1)
ask(s, 5000, 0, bytes(20), 20)

# /proc, as programs read it.
print(sorted(line.split()[0] for line in open("/proc/net/dev")))
for name in "if_inet6", "route":
    print("".join(sorted(open("/proc/net/" + name))))
print(open("/proc/net/packet").readline(), end="")
for name in ("core/somaxconn", "core/rmem_max", "ipv4/ip_local_port_range", "ipv4/tcp_fastopen", "ipv4/tcp_rmem", "ipv4/ip_forward",
             "ipv4/tcp_congestion_control", "ipv6/conf/all/disable_ipv6", "ipv6/bindv6only", "ipv4/conf/all/rp_filter"):
    print(name, open("/proc/sys/net/" + name).read(), end="")
