#!/bin/bash
# TLS by openssl's own server and client.
# needs: openssl python3
port=$("${0%/*}/port")
openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost 2>/dev/null
openssl s_server -accept "127.0.0.1:$port" -cert cert -key key -rev -quiet >/dev/null 2>&1 &
server=$!
ask() { printf 'hello\nCLOSE\n' | timeout 20 openssl s_client -connect "127.0.0.1:$port" -quiet -CAfile cert "$@" 2>/dev/null; }
until ask | grep -q olleh; do :; done
ask -tls1_3
ask -tls1_2
kill $server
wait 2>/dev/null
rm -f key cert
