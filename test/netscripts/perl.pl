#!/usr/bin/perl
# A forking server and its clients by IO::Socket.
# needs: perl
use strict;
use IO::Socket::INET;
use IO::Select;
my $l = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die $!;
my $port = $l->sockport;
my $pid = fork;
if (!$pid) {
	for (1 .. 3) {
		my $c = $l->accept;
		while (<$c>) { print $c scalar reverse }
		close $c;
	}
	exit;
}
for my $i (1 .. 3) {
	my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die $!;
	print $c "line $i\n";
	shutdown $c, 1;
	print "ready\n" if IO::Select->new($c)->can_read(10);
	print <$c>, "\n", $c->peerhost, "\n";
}
waitpid $pid, 0;
my $u = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die $!;
$u->send('hi', 0, pack_sockaddr_in($u->sockport, inet_aton '127.0.0.1'));
$u->recv(my $d, 100);
print "$d\n";
my $none = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 1);
print "$!\n" unless $none;
