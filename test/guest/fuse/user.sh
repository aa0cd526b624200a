# Mounts as user 1000 of the box, who is none of its superusers.
mkdir -m 755 /tmp/b; mkdir /tmp/m; echo hello >/tmp/b/f; chown -R 1000:1000 /tmp/b /tmp/m
user() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
other() { setpriv --reuid 1001 --regid 1001 --clear-groups "$@"; }
user mount -t tmpfs none /tmp/m 2>/dev/null && echo mounted || echo refused
user bindfs --no-allow-other /tmp/b /tmp/m
user cat /tmp/m/f
grep ' /tmp/m ' /proc/mounts | grep -o 'user_id=[0-9]*'
other cat /tmp/m/f 2>/dev/null || echo by another: refused
other fusermount3 -u /tmp/m 2>/dev/null || echo by another: refused
user fusermount3 -u /tmp/m; grep -q ' /tmp/m ' /proc/mounts || echo unmounted
if user bindfs -o allow_other /tmp/b /tmp/m 2>/dev/null; then
	echo allow_other: mounted
	echo by another: $(other cat /tmp/m/f)
	user fusermount3 -u /tmp/m
else
	echo allow_other: refused
fi
bindfs -o allow_other /tmp/b /tmp/m; echo as root: $(cat /tmp/m/f); fusermount3 -u /tmp/m
