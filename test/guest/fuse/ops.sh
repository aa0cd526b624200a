# file operations in the directory $1; the output is compared
cd "$1" || exit 1
umask 022
mkdir t && cd t
echo hello >a; cat a; cp a b; cmp a b && echo same
mkdir -p d/e/f; touch d/e/f/g; find . | sort
ln -s a l; readlink l; cat l
ln a hard && stat -c '%h links' a
chmod 600 a; stat -c '%a %s %F' a
mv a d/moved; cat d/moved; mv d/moved a
echo more >>a; wc -c <a; truncate -s 3 a; cat a; echo; truncate -s 10 a; od -An -c a
dd if=/dev/zero of=big bs=64k count=20 2>/dev/null; stat -c %s big
printf xyz | dd of=big bs=1 seek=70000 conv=notrunc 2>/dev/null; od -An -c -j 69998 -N 8 big
head -c 300000 /dev/zero | tr '\0' q >q; md5sum <q; tail -c 5 q; echo
touch -d '2001-02-03 04:05:06 UTC' a; stat -c %Y a
rmdir d 2>&1 | sed 's/.*: //'; rm -r d; ls
cat nofile 2>&1 | sed 's/.*: //'
mkdir b 2>&1 | sed 's/.*: //'
for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5 6 7 8 9 10; do : >f$i-$j; done; done; ls | wc -l; rm f*; ls
cp /bin/true prog && chmod 755 prog && ./prog && echo ran
exec 3<>b; rm b; echo gone >&3; exec 3>&-; ls
python3 - <<'PY'
import os,fcntl,mmap
f=open('m','w+b'); f.write(b'abc'*5000); f.flush()
m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ,flags=mmap.MAP_PRIVATE); print(m[4998:5004]); m.close()
fcntl.flock(f,fcntl.LOCK_EX); fcntl.lockf(f,fcntl.LOCK_EX); print('locked')
fcntl.lockf(f,fcntl.LOCK_UN); fcntl.flock(f,fcntl.LOCK_UN)
print(os.pread(f.fileno(),5,9999)); os.fsync(f.fileno()); os.ftruncate(f.fileno(),0); print(os.fstat(f.fileno()).st_size)
print(sorted(e.name for e in os.scandir('.')))
PY
cd ..; rm -r t; ls t 2>&1 | sed 's/.*: //'
