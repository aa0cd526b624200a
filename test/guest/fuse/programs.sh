# programs that map files shared, in the directory $1; the output is compared
cd "$1" || exit 1
export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2001-02-03 04:05:06 +0000' GIT_COMMITTER_DATE='2001-02-03 04:05:06 +0000'
sqlite3 db 'pragma journal_mode=wal; create table t(a);'
(echo 'begin;'; for i in 1 2 3 4 5 6 7 8 9; do echo "insert into t values($i);"; done; echo 'commit;') | sqlite3 db
# two processes that meet in the -shm file
printf '%s\n' 'insert into t values(10);' '.shell sqlite3 db "select count(*) from t; insert into t values(11)"' 'select sum(a) from t;' | sqlite3 db
sqlite3 db 'pragma integrity_check; select count(*), sum(a) from t;'
git init -q repo && cd repo && for i in 1 2 3 4 5 6 7 8 9; do echo $i >f$i; done
git add . && git -c user.name=n -c user.email=e commit -q -m first && git log --format=%H && git status --short && git repack -qad && git fsck && cd ..
printf 'int main(void) { return 42; }\n' >m.c
gcc -c m.c && ld --version >/dev/null && gcc -o m m.o && ./m; echo "ran: $?"
gcc -fuse-ld=gold -o m2 m.o 2>/dev/null && ./m2; echo "gold: $?"
