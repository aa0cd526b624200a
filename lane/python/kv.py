"""The kv protocol (lane/internal/kv/kv.go) over hatilane: its own test."""

import struct
import sys

import hatilane


def lv(b):
    return struct.pack("<I", len(b)) + b


def put(lane, key, value=b"", bulk=b""):
    req = lv(key) + lv(value) + struct.pack("<B?2q", 0, False, 1, 2) + struct.pack("<I", 0)
    req += b"\0\0\0\0" + lv(b"python")  # since version 2
    data, _, _ = lane.call(1, req, bulk)
    return struct.unpack("<Q", data)[0]


def unlv(b):
    n = struct.unpack_from("<I", b)[0]
    return b[4:4 + n], b[4 + n:]


def get(lane, key, room=0):
    data, bulk, _ = lane.call(2, lv(key), room=room)
    revision, rest = struct.unpack_from("<Q", data)[0], data[8:]
    value, _ = unlv(rest)
    return revision, bulk or value


def main(path):
    try:
        hatilane.Lane(path, "kv", 77)
        raise SystemExit("version 77 was accepted")
    except hatilane.Refused as e:
        assert "77" in str(e), e
    lane = hatilane.Lane(path, "kv", 2)
    for i in range(1, 101):
        assert put(lane, b"k", b"value %d" % i) == i
        assert get(lane, b"k") == (i, b"value %d" % i)
    big = bytes(range(256)) * 2000
    put(lane, b"big", bulk=big)
    assert get(lane, b"big", room=len(big))[1] == big
    try:
        get(lane, b"none")
        raise SystemExit("a key that is not there was found")
    except FileNotFoundError:
        pass
    try:
        lane.call(99)
        raise SystemExit("an unknown operation was done")
    except OSError as e:
        assert e.errno == 38, e
    try:
        lane.call(3, lv(b"never") + struct.pack("<Q", 1), timeout=0.05)
        raise SystemExit("a wait for ever ended")
    except hatilane.Cancelled as e:
        assert e.args[0] == hatilane.CAUSE_DEADLINE, e
    assert get(lane, b"k")[0] == 100
    lane.close()
    print("ok")


main(sys.argv[1])
