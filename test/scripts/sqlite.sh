#!/bin/bash
# needs: sqlite3
# Two writers and a reader on one database in WAL mode.
sqlite3 db 'pragma journal_mode=wal; create table t(who, n)'
write() { for i in $(seq 40); do echo "insert into t values('$1',$i);"; done | sqlite3 -cmd '.timeout 60000' db; }
write a & write b & wait
sqlite3 -cmd '.timeout 60000' db 'select who, count(*), sum(n) from t group by who; pragma integrity_check'
sqlite3 db 'pragma wal_checkpoint(truncate)' >/dev/null; sqlite3 db 'pragma journal_mode=delete'; rm -f db db-wal db-shm
