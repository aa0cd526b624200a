#!/bin/bash
# Servers of Python's library: threads, forks, asyncio; many clients.
# needs: python3
python3 - <<'P'
import asyncio, http.server, os, select, signal, socket, socketserver, struct, threading, urllib.request

open("file", "w").write("line\n" * 30000)
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
t = threading.Thread(target=s.serve_forever)
t.start()
u = "http://127.0.0.1:%d/" % s.server_address[1]
print([len(urllib.request.urlopen(u + "file").read()) for _ in range(5)])
s.shutdown(); t.join(); s.server_close()

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line.upper())
class Forking(socketserver.ForkingTCPServer): allow_reuse_address = True
s = Forking(("127.0.0.1", 0), Echo)
t = threading.Thread(target=s.serve_forever)
t.start()
for i in range(5):
    c = socket.create_connection(s.server_address)
    c.sendall(b"some text %d\n" % i); c.shutdown(socket.SHUT_WR)
    print(c.makefile().read(), end="")
s.shutdown(); t.join(); s.server_close()

async def main():
    async def serve(r, w):
        while d := await r.read(7000): w.write(d[::-1])
        w.close()
    s = await asyncio.start_server(serve, ["127.0.0.1", "::1"], 0)
    async def one(i, at):
        r, w = await asyncio.open_connection(*at[:2])
        w.write(bytes([i]) * 50000); w.write_eof()
        d = await r.read(); w.close()
        return len(d), set(d) == {i}
    ends = [x.getsockname() for x in s.sockets]
    print(set(await asyncio.gather(*[one(i, ends[i % 2]) for i in range(60)])))
    s.close()
    loop = asyncio.get_running_loop()
    got = loop.create_future()
    class U(asyncio.DatagramProtocol):
        def datagram_received(self, d, a): got.set_result(d)
    tr, _ = await loop.create_datagram_endpoint(U, ("127.0.0.1", 0))
    tr.sendto(b"datagram", tr.get_extra_info("sockname"))
    print(await got); tr.close()
asyncio.run(main())

# Four processes that listen at one port each by themselves.
port = None
kids, ends = [], []
for i in range(4):
    l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    l.bind(("127.0.0.1", port or 0)); l.listen(64); port = l.getsockname()[1]
    pid = os.fork()
    if pid == 0:
        while True:
            c, _ = l.accept(); c.sendall(bytes([65 + i])); c.close()
    l.close(); kids.append(pid)
who = b"".join(socket.create_connection(("127.0.0.1", port)).recv(1) for _ in range(200))
print(sorted(set(who)), len(who))
for k in kids: os.kill(k, 9); os.waitpid(k, 0)

# One listener, four processes that wait at it.
l = socket.create_server(("127.0.0.1", 0))
kids = []
for i in range(4):
    pid = os.fork()
    if pid == 0:
        p = select.epoll(); l.setblocking(False); p.register(l, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        while True:
            p.poll()
            try: c, _ = l.accept()
            except BlockingIOError: continue
            c.setblocking(True); c.sendall(c.recv(5)); c.close()
    kids.append(pid)
ok = 0
for i in range(200):
    c = socket.create_connection(l.getsockname()); c.sendall(b"hello"); ok += c.recv(5, socket.MSG_WAITALL) == b"hello"; c.close()
print(ok)
for k in kids: os.kill(k, 9); os.waitpid(k, 0)

# A connection that goes to another process by SCM_RIGHTS.
a, b = socket.socketpair()
x = socket.create_connection(l.getsockname()); y, _ = l.accept()
if os.fork() == 0:
    _, fds, _, _ = socket.recv_fds(b, 1, 1)
    z = socket.socket(fileno=fds[0]); z.sendall(b"from afar"); os._exit(0)
socket.send_fds(a, [b"x"], [y.fileno()]); y.close(); os.wait()
print(x.recv(100), x.recv(100))
os.unlink("file")
P
