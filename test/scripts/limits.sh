#!/bin/bash
# Limits on memory are kept, over fork and exec.
# needs: bash python3
take='
import mmap, resource, sys
def get(n):
    try:
        return len(mmap.mmap(-1, n << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except (MemoryError, OSError) as e:
        return str(e)
print(get(64), get(900), [resource.getrlimit(r) for r in (resource.RLIMIT_AS, resource.RLIMIT_DATA)])
'
/usr/bin/env python3 -c "$take"
(ulimit -v 600000; python3 -c "$take"; sh -c "python3 -c '$take'")
(ulimit -d 600000; python3 -c "$take")
(ulimit -S -v 600000; ulimit -S -v unlimited; python3 -c "$take")
python3 -c "import resource, subprocess
limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 800 << 20))
subprocess.run(['python3', '-c', '''$take'''], preexec_fn=limit)
$take"
