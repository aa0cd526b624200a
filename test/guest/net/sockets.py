# The tools' lists of this program's sockets, with names for the ports.
import os, re, shutil, socket, subprocess

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(7)
client = socket.create_connection(listener.getsockname())
accepted, _ = listener.accept()
waiting = socket.create_connection(listener.getsockname())
client.send(b"hello")
while len(accepted.recv(5, socket.MSG_PEEK)) < 5:
    pass
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
udp.connect(("127.0.0.1", 9))
bound = socket.socket()
bound.bind(("127.0.0.1", 0))
unbound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names = dict(listener=listener, client=client, waiting=waiting, udp=udp, bound=bound)
try:
    udp6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp6.bind(("::1", 0))
    listener6 = socket.socket(socket.AF_INET6)
    listener6.bind(("::", 0))
    listener6.listen(3)
    names.update(udp6=udp6, listener6=listener6)
except OSError as e:
    print(e)
ports = {s.getsockname()[1]: name for name, s in names.items()}


def named(text, pattern):
    """The lines with one of the ports, in fields and sorted."""
    found = []
    for line in text.splitlines():
        for port, name in ports.items():
            line = re.sub(pattern % port, ":<%s>" % name, line)
        # A connection that nobody has accepted is the kernel's alone, and others may
        # have the same ports elsewhere.
        fields = line.split()
        if "<" in line and not re.search(":<listener> .*:<waiting>", line) and not any(
                re.fullmatch(r".*:(?!0000$|0009$|9$)([0-9]{1,5}|[0-9A-F]{4})", f) for f in fields):
            found.append(fields)
    return sorted(found, key=lambda f: [w for w in f if "<" in w])


for command in "netstat -tln", "netstat -tn", "netstat -uan", "ss -tlnH", "ss -tnH", "ss -uanH":
    if shutil.which(command.split()[0]):
        out = subprocess.run(command.split(), capture_output=True, text=True)
        print(command, out.returncode)
        for f in named(out.stdout, r":%d\b"):
            print(*f)
for table in "tcp", "tcp6", "udp", "udp6":
    lines = open("/proc/net/" + table).read().splitlines(True)
    print(table, sorted({len(l) for l in lines}) if "6" not in table else "", lines[0], end="")
    for f in named("".join(lines), r":%04X\b"):
        # Without slots, counts of references and the kernel's estimates.
        print(f[1:5], f[7:9], len(f))
inodes = {int(l.split()[9]) for t in ("tcp", "udp") for l in open("/proc/net/" + t).read().splitlines()[1:]}
print([os.fstat(s.fileno()).st_ino in inodes for s in names.values()])
