#!/usr/bin/env python3
# needs: python3
import asyncio, ctypes, mmap, multiprocessing, os, signal, sqlite3, subprocess, sys, tempfile, threading, time

def square(x):
    return x * x

def main():
    print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True))
    found = []
    threads = [threading.Thread(target=lambda i=i: found.append(i)) for i in range(50)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print(sorted(found) == list(range(50)))
    with multiprocessing.Pool(3) as pool:
        print(pool.map(square, range(20)))

    async def job(i):
        await asyncio.sleep(0.001 * i)
        return i

    async def gather():
        p = await asyncio.create_subprocess_exec("echo", "hi", stdout=subprocess.PIPE)
        return await p.stdout.read(), await asyncio.gather(*[job(i) for i in range(5)])
    print(asyncio.run(gather()))

    db = sqlite3.connect("x.db")
    db.execute("create table t(a)")
    db.executemany("insert into t values(?)", [(i,) for i in range(1000)])
    db.commit()
    print(db.execute("select count(*), sum(a) from t").fetchall())
    db.close(); os.unlink("x.db")

    with open("m", "wb") as f:
        f.write(b"\0" * 8192)
    with open("m", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[4096:4100] = b"hati"
        m.flush()
        f.seek(4096); print(f.read(4))
    m = mmap.mmap(-1, 4096)
    if os.fork() == 0:
        m[0:5] = b"child"; os._exit(0)
    os.wait(); print(m[:5])

    hits = []
    signal.signal(signal.SIGALRM, lambda *a: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    end = time.monotonic() + 5
    while len(hits) < 3 and time.monotonic() < end:
        signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(len(hits) >= 3)
    r, w = os.pipe(); os.write(w, b"x" * 1000); print(len(os.read(r, 5000)))
    os.mkfifo("ff"); os.remove("ff")
    print(sorted(os.listdir(".")), os.path.exists("/proc/self/status"))
    with tempfile.NamedTemporaryFile() as t:
        t.write(b"abc"); t.flush(); print(os.stat(t.name).st_size)
    try:
        os.open("/no/such", os.O_RDONLY)
    except OSError as e:
        print(e)
    libc = ctypes.CDLL(None)
    print(libc.getpid() == os.getpid())
    print(os.sched_getaffinity(0) != set(), os.cpu_count() > 0, os.getloadavg()[0] >= 0)

if __name__ == "__main__":
    main()
