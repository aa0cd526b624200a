#!/bin/sh
# Programs that want to lie in the same place each time do.
# needs: setarch
look='sed -n "1s/-.*//p; /stack/s/-.*//p; /heap/s/-.*//p" /proc/self/maps'
a=$(setarch -R sh -c "$look")
b=$(setarch -R sh -c "$look; true")
[ -n "$a" ] && [ "$a" = "$b" ] && echo same
setarch -R sh -c "$look" | head -1
c=$(sh -c "$look")
[ "$a" != "$c" ] && echo random
setarch -R cat /proc/self/personality
setarch --uname-2.6 uname -r | cut -c1-3
