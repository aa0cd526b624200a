#!/bin/bash
# Pipelines, subshells, here-documents, traps, jobs, redirections.
echo $((6*7)) | cat | tr 4 x
for i in 3 1 2; do echo $i; done | sort -r
cat <<X
here $(echo nested $(echo deeper))
X
(exit 7); echo $?
trap 'echo got USR1' USR1; kill -USR1 $$
trap 'echo bye' EXIT
sleep 0.05 & wait $!; echo waited $?
sh -c 'exit 3' | true; echo "${PIPESTATUS[@]}"
exec 3>file; echo three >&3; exec 3>&-; cat file
mkdir -p a/b/c && touch a/b/c/{1,2,3} && find a | sort
ln -s b a/l; readlink a/l; ln file hard; stat -c '%h %s %F' hard
printf '%s\n' *.none ?ile
chmod 600 file; stat -c %a file; umask 027; touch m; stat -c %a m
set -o pipefail; false | true; echo $?
read -r x < <(echo process substitution); echo "$x"
test -p /dev/stdin; mkfifo p; (echo through a fifo >p &) ; cat p; rm p
kill -0 $$ && echo alive
ulimit -n >/dev/null && echo limits
cd a/b && pwd | sed 's/.*\/d\//d:/'
type -t cd ls | head -1
echo -n > empty; [ -s empty ] || echo empty
seq 1 10000 | awk '{s+=$1} END {print s}'
seq 1 20000 | sort -R | sort -n | md5sum
yes | head -n 3
