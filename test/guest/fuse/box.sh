# runs the daemon $2 in the box, and the operations in its mount $1
set -e
mkdir "$1" /tmp/back
case $2 in *fuse2fs*) truncate -s 64M /tmp/image; /sbin/mkfs.ext4 -q -O ^has_journal /tmp/image ;; esac
$2 >/dev/null &
daemon=$!
until grep -q " $1 fuse" /proc/mounts; do
	kill -0 $daemon
	sleep 0.02
done
cp /ops.sh "$1/ops"
rm "$1/ops"
sh /ops.sh "$1"
umount "$1"
wait $daemon
test -z "$(ls "$1")"
