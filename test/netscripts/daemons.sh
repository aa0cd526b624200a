#!/bin/bash
# rsync's and git's own daemons.
# needs: rsync git python3
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
mkdir -p src/a repo
seq 1 50000 >src/a/numbers; echo b >src/b; ln -s b src/link
touch -d 2001-01-01 src/a/numbers # what is added below comes in another second
p=$("${0%/*}/port")
printf 'use chroot = no\n[m]\npath = %s/src\n' "$PWD" >rsyncd.conf
rsync --daemon --no-detach --config=rsyncd.conf --address=127.0.0.1 --port="$p" --log-file=/dev/null &
one=$!
until rsync "rsync://127.0.0.1:$p/" >/dev/null 2>&1; do :; done
rsync -a "rsync://127.0.0.1:$p/m/" copy
diff -r src copy && echo the same
echo more >>src/a/numbers
rsync -a --itemize-changes "rsync://127.0.0.1:$p/m/" copy | cut -c1-5
kill $one
cd repo || exit
git init -q -b main .
git config user.name x; git config user.email x@localhost
for i in 1 2 3; do seq $i 20000 >f; git add f; git commit -qm "$i" --date=2020-01-01T00:00:00; done
cd ..
g=$("${0%/*}/port")
git daemon --listen=127.0.0.1 --port="$g" --export-all --base-path="$PWD" --reuseaddr --pid-file=git.pid 2>/dev/null &
until git ls-remote "git://127.0.0.1:$g/repo" >/dev/null 2>&1; do :; done
git clone -q "git://127.0.0.1:$g/repo" clone
git -C clone log --oneline | wc -l
cksum <clone/f
kill "$(cat git.pid)"
wait 2>/dev/null
rm -rf src repo copy clone rsyncd.conf git.pid
