# looks at the file of libfuse's example $1, whose name changes each second, and
# which ends if it is not told soon that an old name is forgotten
mkdir /tmp/m
"$1" -f --timeout=5 /tmp/m 2>/dev/null &
daemon=$!
until grep -q ' /tmp/m fuse' /proc/mounts; do sleep 0.02; done
end=$(($(date +%s) + 4))
until [ "$(date +%s)" -ge $end ]; do
	stat /tmp/m/* >/dev/null 2>&1
	sleep 0.2
done
sleep 2.2 # nobody looks: what was forgotten is not invalidated
kill -0 $daemon && echo the daemon lives
kill $daemon
wait $daemon
