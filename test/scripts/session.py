#!/usr/bin/env python3
# A program that opens a terminal does not get it as the controlling one unless
# it leads a session, and does not end with it.
# needs: python3
import os


def open_pair(flags):
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    name = os.ptsname(master) if hasattr(os, "ptsname") else None
    if name is None:
        import ctypes
        libc = ctypes.CDLL(None)
        libc.grantpt(master)
        libc.unlockpt(master)
        libc.ptsname.restype = ctypes.c_char_p
        name = libc.ptsname(master).decode()
    else:
        os.grantpt(master)
        os.unlockpt(master)
    return master, os.open(name, os.O_RDWR | flags)


def controlling():
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
        return "a terminal"
    except OSError as e:
        return e.strerror


print("leads a session:", os.getsid(0) == os.getpid())
before = controlling()
master, slave = open_pair(0)
print("as before:", controlling() == before)
os.close(master)
os.close(slave)
print("still here", flush=True)

for flags in 0, os.O_NOCTTY:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        master, slave = open_pair(flags)
        print(os.getsid(0) == os.getpid(), controlling(), flush=True)
        os.close(master)
        os.close(slave)
        print("not hung up", flush=True)
        os._exit(0)
    print("status", os.waitpid(pid, 0)[1], flush=True)
