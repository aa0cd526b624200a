#!/bin/bash
# Long pipelines, with much in them.
# needs: bash awk sort
seq 1 100000 | sed 's/$/ x/' | tr x y | awk '{ print $1 % 977, $2 }' | sort -n | uniq -c | sort -k1,1n -k2,2n |
	cat | tee all | { sed -n 1,500p; } | tail -250 | rev | rev | cut -c1-20 | paste - - | nl | md5sum
wc <all
p='cat'
for i in $(seq 40); do p="$p | cat"; done
head -c 3000000 /dev/zero | eval "$p" | cksum
yes | head -100000 | wc -l
# Each writer ends by SIGPIPE.
yes | head -1
echo "${PIPESTATUS[@]}"
for i in 1 2 3 4 5 6 7 8; do (seq "$i"0000 | sort -R | sort -n | cksum) & done | cat >/dev/null
wait
seq 20000 | xargs -P 8 -n 100 echo | tr ' ' '\n' | sort -n | cksum
diff <(seq 5000 | sort) <(seq 5000 | sort -r | sort) && echo same
