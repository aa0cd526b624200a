#!/bin/dash
# needs: dash
set -eu
echo "$((6 * 7))" | { read -r x; echo "got $x"; }
f() { local a="$1"; shift; echo "$a $#"; }; f one two three
for i in a b c; do case $i in b) continue ;; *) echo "$i" ;; esac; done
(trap 'echo term' TERM; kill -TERM $(sh -c 'echo $PPID')); echo "after $?"
x=$(printf '%s\n' 3 1 2 | sort | tr '\n' ' '); echo "$x"
cat <<-X
	here ${x%% *}
X
echo err >&2; exec 4>four; echo four >&4; exec 4>&-; cat four; : >empty; test -s empty || echo empty
sleep 0.01 & pid=$!; wait $pid; echo $?; set +e; (exit 9); echo $?; sh -c 'kill -SEGV $$'; echo $?
umask 077; mkdir private; stat -c %a private; rmdir private; rm four empty; exit 4
