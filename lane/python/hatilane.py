"""A client for hati's lanes, one call at a time: proof that docs/lane-protocol.md
is enough to speak the protocol from another language. Standard library only."""

import fcntl
import mmap
import os
import socket
import threading
import time

MAGIC, FORMAT = b"hatilane", 1
PAGE, INLINE = 4096, 1024
F_ADD_SEALS, SEAL_SHRINK, SEAL_GROW = 1033, 2, 4
FREE, POSTED, CLAIMED, DONE, WITHDRAWN, ABANDONED, SETTLED = range(7)
STATUS_DONE, STATUS_NOTHING, STATUS_DOUBT, STATUS_TEXT = 1, 2, 3, 4
CAUSE_INTERRUPTED, CAUSE_DEADLINE = 1, 3


class Cancelled(Exception):
    """Nothing happened; args[0] is the cause's code."""


class InDoubt(Exception):
    """The server died, or cannot tell what happened."""


class Refused(Exception):
    """The server speaks another protocol or version."""


def _round(n, to):
    return (n + to - 1) // to * to


class Lane:
    def __init__(self, path, protocol="", version=0, slots=64, arena=1 << 20):
        self.slots, self.arena = slots, arena
        # The layout follows from slots and arena.
        self.ring = PAGE
        self.slot = self.ring + _round(slots * 8, 128)
        self.data = _round(self.slot + slots * 128, PAGE)
        half = self.data + slots * 4 * INLINE + arena
        total = PAGE + 2 * half
        self.half = PAGE  # this end made the memory: it asks in half 0

        fd = os.memfd_create("lane", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, total)
            fcntl.fcntl(fd, F_ADD_SEALS, SEAL_SHRINK | SEAL_GROW)
            self.mem = mmap.mmap(fd, total)
            # Words are read and written whole: native, aligned 64-bit items.
            self.q = memoryview(self.mem).cast("Q")
            self.mem[8:24] = FORMAT.to_bytes(4, "little") + slots.to_bytes(4, "little") + arena.to_bytes(8, "little")
            self.mem[0:8] = MAGIC
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.sock.connect(path)
            greeting = MAGIC + FORMAT.to_bytes(4, "little") + version.to_bytes(4, "little") + protocol.encode()
            socket.send_fds(self.sock, [greeting], [fd])
        finally:
            os.close(fd)
        answer = self.sock.recv(512)
        if answer[:8] != MAGIC or int.from_bytes(answer[8:12], "little") != 1:
            raise Refused(answer[16:].decode(errors="replace"))
        self.tail, self.gen, self.files = 0, 1, {}
        self.fence = threading.Lock()

    # Words of half 0 and of slot 0, the only one used.
    def _get(self, off):
        return self.q[(self.half + off) // 8]

    def _set(self, off, value):
        self.q[(self.half + off) // 8] = value

    def _bytes(self, off, n):
        at = self.half + self.data + off
        return self.mem[at:at + n]

    def _put(self, off, data):
        at = self.half + self.data + off
        self.mem[at:at + len(data)] = data

    def call(self, op, data=b"", bulk=b"", room=0, timeout=None):
        """Returns (data, bulk, files), or raises OSError, Cancelled or InDoubt."""
        arena = self.slots * 4 * INLINE
        # Small parts lie in the slot's own room, larger ones in the arena.
        offs = []
        for k, n in enumerate((len(data), len(bulk), INLINE, room)):
            if n <= INLINE:
                offs.append(k * INLINE)
            else:
                offs.append(arena)
                arena += _round(n, 64)
        if arena > self.slots * 4 * INLINE + self.arena:
            raise ValueError("message too big")
        self._put(offs[0], data)
        self._put(offs[1], bulk)
        end = time.monotonic() + timeout if timeout is not None else None
        s = self.slot
        for k, n in enumerate((len(data), len(bulk), INLINE, room)):
            self._set(s + 32 + 8 * k, offs[k] | n << 32)
        self._set(s + 16, int(end * 1e9) if end else 0)
        self._set(s + 24, op)
        self._set(s, self.gen << 8 | POSTED)
        self._set(self.ring + self.tail % self.slots * 8, self.gen << 16 | 0)
        self.tail += 1
        self._set(0, self.tail)  # posted
        self._bell()
        self._wait(end)
        return self._take(offs[2], offs[3], room)

    def _bell(self):
        self.sock.send(b"\x01")  # a bell through the socket is always heard

    def _wait(self, end):
        told = False
        while True:
            self._set(128, 1)  # want a bell
            with self.fence:
                pass  # the wish is visible before the look at the state
            state = self._get(self.slot)
            if state >> 8 != self.gen or state & 0xff not in (POSTED, CLAIMED, DONE):
                raise InDoubt("the server broke the protocol")
            if state & 0xff == DONE:
                return
            left = None
            if end is not None and not told:
                left = end - time.monotonic()
                if left <= 0:
                    self._set(self.slot + 8, self.gen << 8 | CAUSE_DEADLINE)
                    self._set(1024, 1)  # slot 0's cancel word has changed
                    self._bell()
                    told = True
                    continue
            self.sock.settimeout(left)
            try:
                msg, fds, _, _ = socket.recv_fds(self.sock, 256, 32)
            except TimeoutError:
                continue
            if not msg:
                raise InDoubt("the server is gone")
            self._received(msg, fds)

    def _received(self, msg, fds):
        if msg[0] == 2 and msg[1] == 1:  # descriptors of a reply
            self.files[int.from_bytes(msg[8:16], "little")] = fds
        else:
            for fd in fds:
                os.close(fd)

    def _take(self, data_off, bulk_off, room):
        s = self.slot
        status, value = self._get(s + 64) & 0xffffffff, self._get(s + 64) >> 32
        n, m = self._get(s + 72) & 0xffffffff, self._get(s + 72) >> 32
        if n > INLINE or m > room:
            raise InDoubt("the server broke the protocol")
        data, bulk, objects = self._bytes(data_off, n), self._bytes(bulk_off, m), self._get(s + 80) & 0xffffffff
        while objects and self.gen not in self.files:
            msg, fds, _, _ = socket.recv_fds(self.sock, 256, 32)
            if not msg:
                raise InDoubt("the server is gone")
            self._received(msg, fds)
        files = self.files.pop(self.gen, [])
        self.gen += 1
        self._set(s, self.gen << 8 | FREE)
        if status == STATUS_DONE and value == 0:
            return data, bulk, files
        if status == STATUS_DONE:
            raise OSError(value, os.strerror(value))
        if status == STATUS_TEXT:
            raise OSError(5, data.decode(errors="replace"))
        if status == STATUS_NOTHING:
            raise Cancelled(value)
        raise InDoubt("the server cannot tell")

    def close(self):
        self.sock.close()
        self.q.release()
        self.mem.close()
