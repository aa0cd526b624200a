#!/bin/bash
# nginx with two workers: files by sendfile, ranges, many connections, a proxy, a reload.
# needs: nginx curl wget python3
export PATH=$PATH:/usr/sbin
port=$("${0%/*}/port")
mkdir -p nginx/www nginx/logs
seq 1 200000 >nginx/www/big.txt
echo small >nginx/www/small.txt
cat >nginx/nginx.conf <<N
worker_processes 2;
error_log stderr crit;
pid nginx.pid;
$([ "$(id -u)" != 0 ] || echo "user root;")
events { worker_connections 200; }
http {
	access_log off; sendfile on; tcp_nopush on;
	client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
	server { listen 127.0.0.1:$port reuseport; root www; location /again/ { proxy_pass http://127.0.0.1:$port/; } }
}
N
nginx -p "$PWD/nginx" -c nginx.conf -g 'daemon off;' &
url=http://127.0.0.1:$port
until curl -s -o /dev/null "$url/small.txt"; do :; done
curl -s "$url/small.txt"
curl -s "$url/big.txt" | cksum
curl -s -r 1000-1099 "$url/big.txt" | cksum
curl -s -o /dev/null -w '%{http_code}\n' "$url/none"
curl -sI "$url/small.txt" | grep -c Content-Length
wget -q -O - "$url/again/big.txt" | cksum
kill -HUP "$(cat nginx/nginx.pid)"
curl -s -Z --parallel-max 20 "$url/big.txt?[1-40]" -o 'nginx/out#1' 2>/dev/null
cat nginx/out* | cksum
kill -QUIT "$(cat nginx/nginx.pid)"
wait
rm -rf nginx
