# stops the daemon $1 while its files are used
mkdir /tmp/back /tmp/m
echo x >/tmp/back/f
"$1" -f -o source=/tmp/back /tmp/m &
daemon=$!
until grep -q ' /tmp/m fuse' /proc/mounts; do sleep 0.02; done
cat /tmp/m/f >/dev/null
kill -STOP $daemon
cat /tmp/m/f &
cat=$!
ls /tmp/m &
ls=$!
dd if=/dev/zero of=/tmp/m/new count=1 2>/dev/null &
writer=$!
sleep 0.2 # so that they have begun, or not: both are to be killed
kill -9 $cat $ls $writer
for p in cat ls writer; do
	wait ${!p}
	echo "killed by $(($? - 128)): $p"
done 2>/dev/null
kill -9 $daemon
wait $daemon 2>/dev/null
echo "afterwards: $(ls /tmp/m 2>&1 | sed 's/.*: //')"
umount /tmp/m && echo unmounted
