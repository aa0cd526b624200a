#!/bin/bash
# An ssh server as root, a client with a key: a command, much data, a forwarded port, sftp.
# needs: sshd ssh ssh-keygen sftp python3
export PATH=$PATH:/usr/sbin
port=$("${0%/*}/port")
ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f key
cp key.pub keys
cat >conf <<C
HostKey $PWD/host
AuthorizedKeysFile $PWD/keys
PidFile $PWD/pid
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
C
mkdir -p /run/sshd
"$(command -v sshd)" -D -f "$PWD/conf" -p "$port" -o ListenAddress=127.0.0.1 -E log &
s() { ssh -F none -p "$port" -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o LogLevel=ERROR "$@"; }
until s 127.0.0.1 true 2>/dev/null; do :; done
s 127.0.0.1 'echo hello from $0; exit 3'; echo "$?"
head -c 3000000 /dev/zero | s 127.0.0.1 'wc -c'
s 127.0.0.1 'head -c 3000000 /dev/zero' | wc -c
s -tt 127.0.0.1 'stty size; tty | grep -c pts' </dev/null | tr -d '\r'
echo "get $PWD/conf got" | sftp -q -F none -P "$port" -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o LogLevel=ERROR 127.0.0.1 >/dev/null
cmp conf got && echo the same
kill "$(cat pid)"
wait 2>/dev/null
rm -f host* key* conf log known got pid
