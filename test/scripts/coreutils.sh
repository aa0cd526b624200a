#!/bin/bash
seq 100 >n; split -l 30 n p.; cat p.* | cmp - n && echo split; rm p.*; shuf n | sort -n | cmp - n && echo shuf
cp -a n m; cmp n m && echo cp; mv m o; ln -s n s; ln n h; stat -c '%h %F' n s; readlink s; rm h
install -m 751 n i; stat -c %a i; truncate -s 1M sparse; stat -c '%s %b' sparse; cp --sparse=always sparse sparse2; cmp sparse sparse2 && rm sparse*
touch -d '2001-02-03 04:05:06.789' t; stat -c %y t; touch -r t u; test u -nt t || echo same time; date -u -r t +%s
mkdir -p d/e/f; touch d/e/f/g; du -s --apparent-size d | cut -f2; find d -type f; cp -r d d2; diff -r d d2 && rm -r d2; chmod -R a-w d; stat -c %A d/e; chmod -R u+w d; rm -r d
paste n n | head -2; join <(seq 3) <(seq 2 4); comm -12 <(seq 3) <(seq 2 4); cut -c1 n | uniq -c | tail -1; tac n | head -1; nl n | sed -n 3p; fold -w 5 <<<abcdefgh; expand <<<$'a\tb'; od -An -tx1 <<<hi
wc n; md5sum n; sha1sum n; b2sum n; cksum n; sum n; base64 n | head -1; basenc --base16 <<<x; factor 360; numfmt --to=iec 4096; printf '%q\n' 'a b'; tr -d 0-8 <n | tr -d '\n'; echo
tee x y <<<tee; cat x y; rm x y; mkfifo f; cat f & echo through >f; wait; rm f; timeout 0.05 sleep 5; echo $?; nice -n 5 nice; nohup echo nohup 2>/dev/null; env -i A=b env; stdbuf -o0 echo unbuffered
dd if=n of=o bs=7 count=3 skip=1 2>/dev/null; cat o; dd if=/dev/zero bs=4k count=100 2>/dev/null | wc -c; mktemp -u XXXXXX | wc -c; realpath -m /a/../b; dirname /a/b/c; pathchk ok; test -d . && echo dir; [ -r n ] && echo r; sync n
head -c 5 n; tail -c 5 n; tail -n +99 n; ls -1; ls -l n | cut -c1-10; dir -1 | wc -l; df . >/dev/null && echo df; id -u >/dev/null; nproc >/dev/null; uname -s; hostname >/dev/null; whoami >/dev/null; groups >/dev/null; tty; rm -f n o s i t u nohup.out
