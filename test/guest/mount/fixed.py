import os, sys
sys.path.insert(0, os.path.dirname(__file__))
from mnt import *
os.mkdir("/tmp/a")
print("umount fixed:", umount("/fixed/ro"))
print("lazily:", umount("/fixed/ro", DETACH))
print("remount writable:", mount(None, "/fixed/ro", None, REMOUNT | BIND))
print("bind what it covers:", mount("/fixed", "/tmp/a", None, BIND))
print("bind with what is below:", mount("/fixed", "/tmp/a", None, BIND | REC))
print("written through the bind:", write("/tmp/a/ro/x"))
print("bind made writable:", mount(None, "/tmp/a/ro", None, REMOUNT | BIND))
os.setresuid(1000, 1000, 1000)
print("as a user:", mount("x", "/tmp/a", "tmpfs"))
