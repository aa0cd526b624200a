#!/bin/bash
# PostgreSQL over TCP: its tables, sessions that lock and write at once, COPY, a timeout.
# needs: psql python3 setpriv
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
port=$("${0%/*}/port")
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi; }
mkdir pg
[ "$(id -u)" != 0 ] || chown 65534:65534 pg
export HOME=$PWD/pg LC_ALL=C
as "$bin/initdb" -D "$PWD/pg/data" -U x -A trust -N >/dev/null || exit
as "$bin/postgres" -D "$PWD/pg/data" -p "$port" -h 127.0.0.1 -k '' -F >pg.log 2>&1 &
q() { psql -h 127.0.0.1 -p "$port" -U x -d postgres -qAt "$@"; }
until q -c 'select 1' >/dev/null 2>&1; do :; done
q -c 'create table t as select i, md5(i::text) m from generate_series(1, 20000) i; create index on t (m);'
q -c 'select count(*), max(m) from t'
q -c 'copy t to stdout' | cksum
q -c 'select i from t where m = md5($$77$$)'
(q -c 'begin; update t set m = 1 where i = 1; select pg_sleep(0.3); commit' >/dev/null) &
one=$!
q -c 'update t set m = 2 where i = 1 returning m'
wait $one
for i in 1 2 3 4 5 6 7 8; do q -c "insert into t select $i, $i from generate_series(1, 500)" & pids="$pids $!"; done
wait $pids
q -c 'select count(*) from t'
q -c 'set statement_timeout = 200; select pg_sleep(20)' 2>&1
kill -INT "$(head -1 pg/data/postmaster.pid)"
wait
rm -rf pg pg.log
