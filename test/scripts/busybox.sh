#!/bin/busybox sh
# needs: busybox
b=busybox
$b seq 5 | $b tac; $b echo abc | $b rev; $b printf '%05d\n' 42
$b mkdir -p x/y; $b touch x/y/z; $b find x; $b du x >/dev/null; $b cp -r x w; $b ls w/y; $b mv w v; $b rm -r v
$b echo b >l; $b echo a >>l; $b sort l; $b uniq l; $b wc l; $b head -1 l; $b tail -1 l; $b cut -c1 l; $b md5sum l; $b sha256sum l
$b awk '{print NR": "$0}' l; $b sed s/a/A/ l; $b grep -n b l; $b tr ab xy <l; $b od -c l; $b hexdump -C l; $b base64 l
$b tar cf t.tar l x && $b tar tf t.tar; $b gzip l && $b gunzip l.gz && $b cat l; $b bzip2 -k l && $b bunzip2 -c l.bz2; $b rm -f l.bz2 t.tar
$b dd if=/dev/zero of=z bs=1k count=4 2>/dev/null; $b stat -c %s z; $b cmp z z && $b echo same; $b truncate -s 10 z; $b ls -l z | $b awk '{print $5}'
$b ln -s l s; $b readlink s; $b realpath s >/dev/null; $b basename /a/b; $b dirname /a/b; $b expr 6 \* 7; $b test -h s && $b echo link
$b date -u -d @0; $b env -i A=1 $b env; $b id -u >/dev/null; $b sleep 0; $b true; $b false || $b echo false; $b yes | $b head -2
$b mktemp -d tmp.XXXXXX >n && $b rmdir $($b cat n) && $b rm n; $b xargs -n1 $b echo <l; $b tee k <l; $b paste l k; $b comm l k 2>/dev/null; $b diff l k && $b echo equal
$b sh -c 'echo $0 $#' a b; $b timeout 5 $b echo in time; $b nice $b echo nice; $b which sh >/dev/null; $b uname -s; $b vi -h >/dev/null 2>&1; $b cal 1 2020; $b bc <l >/dev/null 2>&1
$b mkfifo f; $b echo fifo >f & $b cat f; $b rm f; $b chmod 640 l; $b stat -c %a l; $b rm -rf x l k s z
