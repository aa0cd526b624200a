# Prints what programs are told of the addresses of the loopback, for all kinds of sockets.
# Ports are told by their names.
import errno, itertools, random, select, socket, struct, sys

ports = {}
numbers = itertools.count()

def fresh():
    """A port that nobody has, with a name."""
    # None of those that the system hands out.
    while True:
        p = random.randrange(10000, 32768)
        try:
            for typ in socket.SOCK_STREAM, socket.SOCK_DGRAM:
                with socket.socket(socket.AF_INET6, typ) as s:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                    s.bind(('::', p))
        except OSError:
            continue
        if p not in ports:
            ports[p] = 'P%d' % next(numbers)
            return p

def show(a):
    if isinstance(a, OSError):
        return errno.errorcode[a.errno]
    if isinstance(a, tuple):
        return '%s %s%s' % (a[0], ports.get(a[1], '*' if a[1] else '0'), a[2:])
    return str(a)

def attempt(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return e

def say(*what):
    print(*map(show, what), flush=True)

kinds = {
    'v4': (socket.AF_INET, '127.0.0.1', None),
    'v4 any': (socket.AF_INET, '', None),
    'v6': (socket.AF_INET6, '::1', None),
    'v6 any': (socket.AF_INET6, '::', 1),
    'dual': (socket.AF_INET6, '::', 0),
    'mapped': (socket.AF_INET6, '::ffff:127.0.0.1', 0),
}

def make(kind, typ, port=None, options=()):
    family, host, only = kinds[kind]
    s = socket.socket(family, typ)
    if only is not None:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    for o in options:
        s.setsockopt(socket.SOL_SOCKET, o, 1)
    return s, None if port is None else attempt(s.bind, (host, port))

calls = [(socket.AF_INET, '127.0.0.1'), (socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::1'), (socket.AF_INET6, '::'), (socket.AF_INET6, '::ffff:127.0.0.1')]

for kind in kinds:
    for family, host in calls:
        p = fresh()
        l, err = make(kind, socket.SOCK_STREAM, p)
        l.listen()
        c = socket.socket(family)
        say('TCP', kind, host, err, l.getsockname(), c.getsockname(), attempt(c.getpeername))
        err = attempt(c.connect, (host, p))
        say(' ', err)
        if err is None:
            a, peer = l.accept()
            say(' ', c.getsockname(), c.getpeername(), peer, a.getsockname(), a.getpeername(), peer == a.getpeername(), c.getsockname()[1] == peer[1])
            c.sendall(b'hello')
            c.shutdown(socket.SHUT_WR)
            b = b''
            while x := a.recv(100):
                b += x
            say(' ', b)
        for how in 'sendto', 'connect', 'bound':
            p = fresh()
            s, err = make(kind, socket.SOCK_DGRAM, p)
            c = socket.socket(family, socket.SOCK_DGRAM)
            if how == 'bound':
                c.bind(('', fresh()))
            say('UDP', kind, host, how, err)
            if how == 'connect':
                say(' ', attempt(c.connect, (host, p)), c.getsockname(), attempt(c.getpeername), attempt(c.send, b'one'))
            else:
                say(' ', attempt(c.sendto, b'one', (host, p)))
            if select.select([s], [], [], 0)[0]:
                b, peer = s.recvfrom(10)
                say(' ', b, peer, peer[1] == c.getsockname()[1], s.sendto(b'two', peer))
                say(' ', c.recvfrom(10))
            elif how == 'connect':
                say('  nobody', attempt(c.send, b'one'))
            say(' ', s.getsockname(), c.getsockname())

for typ in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    for options in (), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,):
        for listening in (False, True) if typ == socket.SOCK_STREAM else (False,):
            for first in kinds:
                for second in kinds:
                    p = fresh()
                    a, err = make(first, typ, p, options)
                    if listening:
                        a.listen()
                    b, err2 = make(second, typ, p, options)
                    say('both', typ, str(options), listening, first, second, err, err2, attempt(b.listen) if listening and err2 is None else None)

# A listener that comes again while its connections are there, and afterwards.
for options in (), (socket.SO_REUSEADDR,):
    p = fresh()
    l, err = make('v4', socket.SOCK_STREAM, p, options)
    l.listen()
    c = socket.create_connection(('127.0.0.1', p))
    a, _ = l.accept()
    l.close()
    say('again', str(options), make('v4', socket.SOCK_STREAM, p, options)[1], make('v6', socket.SOCK_STREAM, p, options)[1])

# Non-blocking connections, twice, and the end of one.
p = fresh()
l, err = make('dual', socket.SOCK_STREAM, p)
l.listen()
c = socket.socket()
c.setblocking(False)
err = c.connect_ex(('127.0.0.1', p))
select.select([], [c], [])
say('non-blocking', err, c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), c.connect_ex(('127.0.0.1', p)), c.connect_ex(('127.0.0.1', p)), c.getpeername())
p = fresh()
c = socket.socket()
c.setblocking(False)
err = c.connect_ex(('127.0.0.1', p))
if err == errno.EINPROGRESS:
    select.select([], [c], [])
    err = c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
say('refused', err, attempt(c.getpeername))
l, err = make('v4', socket.SOCK_STREAM, p)
l.listen()
c.connect_ex(('127.0.0.1', p))
say('later', c.connect_ex(('127.0.0.1', p)))

# To itself, an unbound listener, and errors that come back.
p = fresh()
s, err = make('v4', socket.SOCK_STREAM, p)
say('itself', attempt(s.connect, ('127.0.0.1', p)), s.getsockname(), attempt(s.getpeername))
s = socket.socket(socket.AF_INET6)
s.listen()
say('unbound', s.getsockname(), attempt(socket.create_connection, ('127.0.0.1', s.getsockname()[1])) is not None)
p = fresh()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
u.sendto(b'x', ('127.0.0.1', p))
select.select([], [], [u], 5)
data, control, flags, addr = u.recvmsg(100, 500, socket.MSG_ERRQUEUE)
say('error', data, addr, [(c[0], c[1], struct.unpack('IBBB', c[2][:7]), c[2][16:24]) for c in control])
