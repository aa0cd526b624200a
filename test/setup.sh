#!/bin/sh
# Installs what the tests need and the machine does not have. Without root or
# apt it only says what is missing; the tests that need it are skipped then,
# except with CI=true.
set -eu
PATH=$PATH:/usr/sbin

need() { # command package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

missing=
need gcc gcc
need musl-gcc musl-tools
need make make
need busybox busybox-static
need bash bash
need dash dash
need python3 python3
need perl perl
need git git
need sqlite3 sqlite3
need redis-server redis-server
need redis-cli redis-tools
need redis-benchmark redis-tools
need nginx nginx-light
need curl curl
need wget wget
need openssl openssl
need memcached memcached
need node nodejs
need rsync rsync
need gzip gzip
need xz xz-utils
need tar tar
need ps procps
need ip iproute2
need netstat net-tools
need fusermount3 fuse3
need pkg-config pkg-config
pkg-config --exists fuse3 >/dev/null 2>&1 || missing="$missing libfuse3-dev"
need sshfs sshfs
[ -x /usr/lib/openssh/sftp-server ] || missing="$missing openssh-sftp-server"
need bindfs bindfs
need squashfuse squashfuse
need mksquashfs squashfs-tools
need fuse2fs fuse2fs
need rclone rclone
need gocryptfs gocryptfs
need encfs encfs
need ntfs-3g ntfs-3g
need unionfs unionfs-fuse
need mergerfs mergerfs
need fuse-zip fuse-zip
if [ -n "${HATI_HAMMER-}" ]; then
	need socat socat
	need nc.openbsd netcat-openbsd
	need nc.traditional netcat-traditional
	need iperf3 iperf3
	need gunicorn gunicorn
	need wrk wrk
	need sshd openssh-server
	need ssh openssh-client
	need sftp openssh-client
	need psql postgresql-client
	[ -d /usr/lib/postgresql ] || missing="$missing postgresql"
fi
# Python's own tests, for Debian's python3.
python3 -c 'import test.test_os' >/dev/null 2>&1 || missing="$missing libpython3-testsuite"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q >/dev/null
	# A server that is only needed as a program must not be started.
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d.hati
	chmod +x /usr/sbin/policy-rc.d.hati
	[ -e /usr/sbin/policy-rc.d ] || { ln -s policy-rc.d.hati /usr/sbin/policy-rc.d; made=1; }
	# shellcheck disable=SC2086
	apt-get install -q -y --no-install-recommends $missing >/dev/null
	[ -z "${made-}" ] || rm -f /usr/sbin/policy-rc.d
	rm -f /usr/sbin/policy-rc.d.hati
else
	echo "missing, and not installed without root:$missing" >&2
fi
