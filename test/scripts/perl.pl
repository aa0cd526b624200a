#!/usr/bin/perl
# needs: perl
use strict; use warnings; use POSIX; use Socket; use IO::Handle; use File::Temp; use Time::HiRes;
$| = 1;
print join(",", map { $_ * 2 } 1 .. 10), "\n";
print `echo from a child`; system("exit 3"); print $? >> 8, "\n";
pipe(my $r, my $w); if (my $p = fork) { close $w; print <$r>; waitpid($p, 0); print $? >> 8, "\n" } else { close $r; print $w "pipe\n"; close $w; POSIX::_exit(5) }
local $SIG{ALRM} = sub { print "alarm\n" }; Time::HiRes::ualarm(20000); select(undef, undef, undef, 5);
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC); $a->autoflush(1); print $a "socket\n"; print scalar <$b>;
my ($fh, $name) = File::Temp::tempfile(); print $fh "x" x 100; close $fh; print -s $name, "\n"; unlink $name;
opendir(my $d, "/proc/self/fd"); print((grep { /^[012]$/ } readdir $d) . "\n");
print "$!\n" unless open(my $no, "<", "/no/such"); print strftime("%Y", gmtime(0)), "\n"; kill 'TERM', $$;
