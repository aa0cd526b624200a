# Runs show with all kinds of set-id bits, as user 1000. $1 is a directory that
# has it; the superuser of a mount namespace, or of a box, runs this.
cd "$1" || exit 1
umask 022
as() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
make() { cp show "$1" && chown "$2" "$1" && chmod "$3" "$1"; }
make root 0:0 4755
make rootgroup 0:7 2755
make locking 0:7 2745 # no execution by the group: not a set-group-id program
make both 0:7 6755
make other 1001:7 6755
make own 1000:1000 4755
make unread 0:0 4711
for p in root rootgroup locking both other own unread; do
	echo "== $p"; as ./$p
done
echo "== by the superuser"; ./other; ./root
echo "== no new privileges"; as --no-new-privs ./both
echo "== ambient"; setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps +sys_nice --ambient-caps +sys_nice ./show
setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps +sys_nice --ambient-caps +sys_nice ./root
setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps +sys_nice --ambient-caps +sys_nice ./other
echo "== environment"; LD_DEBUG_OUTPUT=x as ./root; LD_DEBUG_OUTPUT=x as ./own
echo "== personality"; as setarch -R ./root; as setarch -R ./own
echo "== death signal"; as --pdeathsig TERM ./root; as --pdeathsig TERM ./own
echo "== shared directory"; as ./show share ./root; as ./show share ./own; ./show share ./other
echo "== scripts"
printf '#!%s/show\n' "$1" >script; chmod 4755 script; as ./script
printf '#!%s/root\n' "$1" >script2; chmod 755 script2; as ./script2
echo "== the superuser as another"; setpriv --ruid 1000 ./show; setpriv --ruid 1000 ./other; setpriv --euid 1000 ./show
echo "== nosuid"
mkdir m && mount -t tmpfs -o nosuid,mode=755 none m && cp -p both m/ && as m/both; mount -o remount,suid m && as m/both
mount --bind . m && mount -o remount,bind,nosuid m && as m/both; umount m; umount m
