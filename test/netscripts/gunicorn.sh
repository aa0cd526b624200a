#!/bin/bash
# A preforking server of Python's, reloaded while it is asked.
# needs: gunicorn curl wrk python3
port=$("${0%/*}/port")
cat >app.py <<'P'
def app(env, start):
    n = len(env["wsgi.input"].read())
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"got %d\n" % n]
P
gunicorn -w 3 --threads 2 -b "127.0.0.1:$port" --reuse-port --pid pid app:app --log-level critical &
until curl -s -o /dev/null "http://127.0.0.1:$port/"; do :; done
for i in 1 2 3 4 5; do curl -s -d "$(head -c $((i * 1000)) /dev/zero | tr '\0' x)" "http://127.0.0.1:$port/"; done
wrk -t 2 -c 20 -d 1 "http://127.0.0.1:$port/" | grep -E 'Non-2xx|Socket errors' || echo all were answered
kill -HUP "$(cat pid)"
until curl -s "http://127.0.0.1:$port/"; do :; done
kill "$(cat pid)"
wait
rm -rf app.py pid __pycache__
