package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// Flags of sockets, polling and terminals.
var families = flagSet{other: "AF_???", enum: true, names: []flag{
	{unix.AF_UNSPEC, "AF_UNSPEC"},
	{unix.AF_UNIX, "AF_UNIX"},
	{unix.AF_INET, "AF_INET"},
	{unix.AF_INET6, "AF_INET6"},
	{unix.AF_NETLINK, "AF_NETLINK"},
	{unix.AF_PACKET, "AF_PACKET"},
	{unix.AF_ALG, "AF_ALG"},
	{unix.AF_VSOCK, "AF_VSOCK"},
	{unix.AF_BLUETOOTH, "AF_BLUETOOTH"},
	{unix.AF_XDP, "AF_XDP"},
}}

var sockTypes = flagSet{other: "SOCK_???", enum: true, names: []flag{
	{unix.SOCK_STREAM, "SOCK_STREAM"},
	{unix.SOCK_DGRAM, "SOCK_DGRAM"},
	{unix.SOCK_RAW, "SOCK_RAW"},
	{unix.SOCK_RDM, "SOCK_RDM"},
	{unix.SOCK_SEQPACKET, "SOCK_SEQPACKET"},
	{unix.SOCK_DCCP, "SOCK_DCCP"},
	{unix.SOCK_PACKET, "SOCK_PACKET"},
}}

var sockFlags = flagSet{other: "SOCK_???", names: []flag{
	{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"},
	{unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"},
}}

var ipProtos = flagSet{other: "IPPROTO_???", enum: true, names: []flag{
	{unix.IPPROTO_IP, "IPPROTO_IP"},
	{unix.IPPROTO_ICMP, "IPPROTO_ICMP"},
	{unix.IPPROTO_TCP, "IPPROTO_TCP"},
	{unix.IPPROTO_UDP, "IPPROTO_UDP"},
	{unix.IPPROTO_IPV6, "IPPROTO_IPV6"},
	{unix.IPPROTO_ICMPV6, "IPPROTO_ICMPV6"},
	{unix.IPPROTO_RAW, "IPPROTO_RAW"},
}}

var netlinkProtos = flagSet{other: "NETLINK_???", enum: true, names: []flag{
	{unix.NETLINK_ROUTE, "NETLINK_ROUTE"},
	{unix.NETLINK_SOCK_DIAG, "NETLINK_SOCK_DIAG"},
	{unix.NETLINK_AUDIT, "NETLINK_AUDIT"},
	{unix.NETLINK_NETFILTER, "NETLINK_NETFILTER"},
	{unix.NETLINK_KOBJECT_UEVENT, "NETLINK_KOBJECT_UEVENT"},
	{unix.NETLINK_GENERIC, "NETLINK_GENERIC"},
}}

var sockLevels = flagSet{other: "SOL_???", enum: true, names: []flag{
	{unix.SOL_IP, "SOL_IP"},
	{unix.SOL_SOCKET, "SOL_SOCKET"},
	{unix.SOL_TCP, "SOL_TCP"},
	{unix.SOL_UDP, "SOL_UDP"},
	{unix.SOL_IPV6, "SOL_IPV6"},
	{unix.SOL_RAW, "SOL_RAW"},
	{unix.SOL_NETLINK, "SOL_NETLINK"},
	{unix.SOL_PACKET, "SOL_PACKET"},
}}

var sockOpts = flagSet{other: "SO_???", enum: true, names: []flag{
	{unix.SO_DEBUG, "SO_DEBUG"},
	{unix.SO_REUSEADDR, "SO_REUSEADDR"},
	{unix.SO_TYPE, "SO_TYPE"},
	{unix.SO_ERROR, "SO_ERROR"},
	{unix.SO_DONTROUTE, "SO_DONTROUTE"},
	{unix.SO_BROADCAST, "SO_BROADCAST"},
	{unix.SO_SNDBUF, "SO_SNDBUF"},
	{unix.SO_RCVBUF, "SO_RCVBUF"},
	{unix.SO_KEEPALIVE, "SO_KEEPALIVE"},
	{unix.SO_OOBINLINE, "SO_OOBINLINE"},
	{unix.SO_NO_CHECK, "SO_NO_CHECK"},
	{unix.SO_PRIORITY, "SO_PRIORITY"},
	{unix.SO_LINGER, "SO_LINGER"},
	{unix.SO_BSDCOMPAT, "SO_BSDCOMPAT"},
	{unix.SO_REUSEPORT, "SO_REUSEPORT"},
	{unix.SO_PASSCRED, "SO_PASSCRED"},
	{unix.SO_PEERCRED, "SO_PEERCRED"},
	{unix.SO_RCVLOWAT, "SO_RCVLOWAT"},
	{unix.SO_SNDLOWAT, "SO_SNDLOWAT"},
	{20, "SO_RCVTIMEO_OLD"},
	{21, "SO_SNDTIMEO_OLD"},
	{unix.SO_BINDTODEVICE, "SO_BINDTODEVICE"},
	{unix.SO_ATTACH_FILTER, "SO_ATTACH_FILTER"},
	{unix.SO_DETACH_FILTER, "SO_DETACH_FILTER"},
	{unix.SO_PEERNAME, "SO_PEERNAME"},
	{29, "SO_TIMESTAMP_OLD"},
	{unix.SO_ACCEPTCONN, "SO_ACCEPTCONN"},
	{unix.SO_PEERSEC, "SO_PEERSEC"},
	{unix.SO_SNDBUFFORCE, "SO_SNDBUFFORCE"},
	{unix.SO_PASSSEC, "SO_PASSSEC"},
	{unix.SO_RCVBUFFORCE, "SO_RCVBUFFORCE"},
	{unix.SO_MARK, "SO_MARK"},
	{unix.SO_PROTOCOL, "SO_PROTOCOL"},
	{unix.SO_DOMAIN, "SO_DOMAIN"},
	{unix.SO_PEEK_OFF, "SO_PEEK_OFF"},
	{unix.SO_BUSY_POLL, "SO_BUSY_POLL"},
	{unix.SO_INCOMING_CPU, "SO_INCOMING_CPU"},
	{unix.SO_COOKIE, "SO_COOKIE"},
	{unix.SO_PEERGROUPS, "SO_PEERGROUPS"},
	{unix.SO_ZEROCOPY, "SO_ZEROCOPY"},
	{unix.SO_PASSPIDFD, "SO_PASSPIDFD"},
	{unix.SO_PEERPIDFD, "SO_PEERPIDFD"},
}}

var tcpOpts = flagSet{other: "TCP_???", enum: true, names: []flag{
	{unix.TCP_NODELAY, "TCP_NODELAY"},
	{unix.TCP_MAXSEG, "TCP_MAXSEG"},
	{unix.TCP_CORK, "TCP_CORK"},
	{unix.TCP_KEEPIDLE, "TCP_KEEPIDLE"},
	{unix.TCP_KEEPINTVL, "TCP_KEEPINTVL"},
	{unix.TCP_KEEPCNT, "TCP_KEEPCNT"},
	{unix.TCP_SYNCNT, "TCP_SYNCNT"},
	{unix.TCP_LINGER2, "TCP_LINGER2"},
	{unix.TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT"},
	{unix.TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP"},
	{unix.TCP_INFO, "TCP_INFO"},
	{unix.TCP_QUICKACK, "TCP_QUICKACK"},
	{unix.TCP_CONGESTION, "TCP_CONGESTION"},
	{unix.TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
	{unix.TCP_FASTOPEN, "TCP_FASTOPEN"},
}}

var ipOpts = flagSet{other: "IP_???", enum: true, names: []flag{
	{unix.IP_TOS, "IP_TOS"},
	{unix.IP_TTL, "IP_TTL"},
	{unix.IP_HDRINCL, "IP_HDRINCL"},
	{unix.IP_OPTIONS, "IP_OPTIONS"},
	{unix.IP_PKTINFO, "IP_PKTINFO"},
	{unix.IP_RECVERR, "IP_RECVERR"},
	{unix.IP_MTU_DISCOVER, "IP_MTU_DISCOVER"},
	{unix.IP_MULTICAST_IF, "IP_MULTICAST_IF"},
	{unix.IP_MULTICAST_TTL, "IP_MULTICAST_TTL"},
	{unix.IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"},
	{unix.IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP"},
	{unix.IP_DROP_MEMBERSHIP, "IP_DROP_MEMBERSHIP"},
	{unix.IP_FREEBIND, "IP_FREEBIND"},
}}

var ip6Opts = flagSet{other: "IPV6_???", enum: true, names: []flag{
	{unix.IPV6_V6ONLY, "IPV6_V6ONLY"},
	{unix.IPV6_RECVERR, "IPV6_RECVERR"},
	{unix.IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO"},
	{unix.IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"},
	{unix.IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS"},
	{unix.IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP"},
	{unix.IPV6_MULTICAST_IF, "IPV6_MULTICAST_IF"},
	{unix.IPV6_TCLASS, "IPV6_TCLASS"},
}}

var msgFlags = flagSet{other: "MSG_???", names: []flag{
	{unix.MSG_OOB, "MSG_OOB"},
	{unix.MSG_PEEK, "MSG_PEEK"},
	{unix.MSG_DONTROUTE, "MSG_DONTROUTE"},
	{unix.MSG_CTRUNC, "MSG_CTRUNC"},
	{unix.MSG_PROXY, "MSG_PROXY"},
	{unix.MSG_TRUNC, "MSG_TRUNC"},
	{unix.MSG_DONTWAIT, "MSG_DONTWAIT"},
	{unix.MSG_EOR, "MSG_EOR"},
	{unix.MSG_WAITALL, "MSG_WAITALL"},
	{unix.MSG_FIN, "MSG_FIN"},
	{unix.MSG_SYN, "MSG_SYN"},
	{unix.MSG_CONFIRM, "MSG_CONFIRM"},
	{unix.MSG_RST, "MSG_RST"},
	{unix.MSG_ERRQUEUE, "MSG_ERRQUEUE"},
	{unix.MSG_NOSIGNAL, "MSG_NOSIGNAL"},
	{unix.MSG_MORE, "MSG_MORE"},
	{unix.MSG_WAITFORONE, "MSG_WAITFORONE"},
	{unix.MSG_ZEROCOPY, "MSG_ZEROCOPY"},
	{unix.MSG_FASTOPEN, "MSG_FASTOPEN"},
	{unix.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"},
}}

var scmTypes = flagSet{other: "SCM_???", enum: true, names: []flag{
	{unix.SCM_RIGHTS, "SCM_RIGHTS"},
	{unix.SCM_CREDENTIALS, "SCM_CREDENTIALS"},
	{4, "SCM_PIDFD"},
}}

var shutHow = flagSet{other: "SHUT_???", enum: true, names: []flag{
	{unix.SHUT_RD, "SHUT_RD"},
	{unix.SHUT_WR, "SHUT_WR"},
	{unix.SHUT_RDWR, "SHUT_RDWR"},
}}

var pollEvents = flagSet{other: "POLL???", names: []flag{
	{unix.POLLIN, "POLLIN"},
	{unix.POLLPRI, "POLLPRI"},
	{unix.POLLOUT, "POLLOUT"},
	{abi.POLLRDNORM, "POLLRDNORM"},
	{abi.POLLRDBAND, "POLLRDBAND"},
	{abi.POLLWRNORM, "POLLWRNORM"},
	{abi.POLLWRBAND, "POLLWRBAND"},
	{unix.POLLERR, "POLLERR"},
	{unix.POLLHUP, "POLLHUP"},
	{unix.POLLNVAL, "POLLNVAL"},
	{abi.POLLMSG, "POLLMSG"},
	{unix.POLLRDHUP, "POLLRDHUP"},
}}

var epollEvents = flagSet{other: "EPOLL???", names: []flag{
	{unix.EPOLLIN, "EPOLLIN"},
	{unix.EPOLLPRI, "EPOLLPRI"},
	{unix.EPOLLOUT, "EPOLLOUT"},
	{unix.EPOLLRDNORM, "EPOLLRDNORM"},
	{unix.EPOLLRDBAND, "EPOLLRDBAND"},
	{unix.EPOLLWRNORM, "EPOLLWRNORM"},
	{unix.EPOLLWRBAND, "EPOLLWRBAND"},
	{unix.EPOLLMSG, "EPOLLMSG"},
	{unix.EPOLLERR, "EPOLLERR"},
	{unix.EPOLLHUP, "EPOLLHUP"},
	{unix.EPOLLRDHUP, "EPOLLRDHUP"},
	{unix.EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE"},
	{unix.EPOLLWAKEUP, "EPOLLWAKEUP"},
	{unix.EPOLLONESHOT, "EPOLLONESHOT"},
	{1 << 31, "EPOLLET"},
}}

var epollOps = flagSet{other: "EPOLL_CTL_???", enum: true, names: []flag{
	{unix.EPOLL_CTL_ADD, "EPOLL_CTL_ADD"},
	{unix.EPOLL_CTL_DEL, "EPOLL_CTL_DEL"},
	{unix.EPOLL_CTL_MOD, "EPOLL_CTL_MOD"},
}}

var epollFlags = flagSet{other: "EPOLL_???", names: []flag{
	{unix.EPOLL_CLOEXEC, "EPOLL_CLOEXEC"},
}}

var eventfdFlags = flagSet{other: "EFD_???", names: []flag{
	{unix.EFD_SEMAPHORE, "EFD_SEMAPHORE"},
	{unix.EFD_CLOEXEC, "EFD_CLOEXEC"},
	{unix.EFD_NONBLOCK, "EFD_NONBLOCK"},
}}

var signalfdFlags = flagSet{other: "SFD_???", names: []flag{
	{unix.SFD_CLOEXEC, "SFD_CLOEXEC"},
	{unix.SFD_NONBLOCK, "SFD_NONBLOCK"},
}}

var termIflags = flagSet{other: "", names: []flag{
	{unix.IGNBRK, "IGNBRK"},
	{unix.BRKINT, "BRKINT"},
	{unix.IGNPAR, "IGNPAR"},
	{unix.PARMRK, "PARMRK"},
	{unix.INPCK, "INPCK"},
	{unix.ISTRIP, "ISTRIP"},
	{unix.INLCR, "INLCR"},
	{unix.IGNCR, "IGNCR"},
	{unix.ICRNL, "ICRNL"},
	{unix.IUCLC, "IUCLC"},
	{unix.IXON, "IXON"},
	{unix.IXANY, "IXANY"},
	{unix.IXOFF, "IXOFF"},
	{unix.IMAXBEL, "IMAXBEL"},
	{unix.IUTF8, "IUTF8"},
}}

var termOflags = flagSet{other: "", names: []flag{
	{unix.OPOST, "OPOST"},
	{unix.OLCUC, "OLCUC"},
	{unix.ONLCR, "ONLCR"},
	{unix.OCRNL, "OCRNL"},
	{unix.ONOCR, "ONOCR"},
	{unix.ONLRET, "ONLRET"},
	{unix.OFILL, "OFILL"},
	{unix.OFDEL, "OFDEL"},
}}

var termCflags = flagSet{other: "", names: []flag{
	{unix.CSTOPB, "CSTOPB"},
	{unix.CREAD, "CREAD"},
	{unix.PARENB, "PARENB"},
	{unix.PARODD, "PARODD"},
	{unix.HUPCL, "HUPCL"},
	{unix.CLOCAL, "CLOCAL"},
	{unix.CRTSCTS, "CRTSCTS"},
}}

var termLflags = flagSet{other: "", names: []flag{
	{unix.ISIG, "ISIG"},
	{unix.ICANON, "ICANON"},
	{unix.XCASE, "XCASE"},
	{unix.ECHO, "ECHO"},
	{unix.ECHOE, "ECHOE"},
	{unix.ECHOK, "ECHOK"},
	{unix.ECHONL, "ECHONL"},
	{unix.NOFLSH, "NOFLSH"},
	{unix.TOSTOP, "TOSTOP"},
	{unix.IEXTEN, "IEXTEN"},
	{unix.ECHOCTL, "ECHOCTL"},
	{unix.ECHOPRT, "ECHOPRT"},
	{unix.ECHOKE, "ECHOKE"},
	{unix.FLUSHO, "FLUSHO"},
	{unix.PENDIN, "PENDIN"},
	{unix.EXTPROC, "EXTPROC"},
}}

var termSpeeds = flagSet{other: "B???", enum: true, names: []flag{
	{unix.B0, "B0"},
	{unix.B50, "B50"},
	{unix.B75, "B75"},
	{unix.B110, "B110"},
	{unix.B134, "B134"},
	{unix.B150, "B150"},
	{unix.B200, "B200"},
	{unix.B300, "B300"},
	{unix.B600, "B600"},
	{unix.B1200, "B1200"},
	{unix.B1800, "B1800"},
	{unix.B2400, "B2400"},
	{unix.B4800, "B4800"},
	{unix.B9600, "B9600"},
	{unix.B19200, "B19200"},
	{unix.B38400, "B38400"},
	{unix.B57600, "B57600"},
	{unix.B115200, "B115200"},
	{unix.B230400, "B230400"},
	{unix.B460800, "B460800"},
	{unix.B500000, "B500000"},
	{unix.B576000, "B576000"},
	{unix.B921600, "B921600"},
	{unix.B1000000, "B1000000"},
	{unix.B1152000, "B1152000"},
	{unix.B1500000, "B1500000"},
	{unix.B2000000, "B2000000"},
	{unix.B2500000, "B2500000"},
	{unix.B3000000, "B3000000"},
	{unix.B3500000, "B3500000"},
	{unix.B4000000, "B4000000"},
}}

var ioctls = flagSet{other: "", enum: true, names: []flag{
	{unix.TCGETS, "TCGETS"},
	{unix.TCSETS, "TCSETS"},
	{unix.TCSETSW, "TCSETSW"},
	{unix.TCSETSF, "TCSETSF"},
	{unix.TCSBRK, "TCSBRK"},
	{unix.TCXONC, "TCXONC"},
	{unix.TCFLSH, "TCFLSH"},
	{unix.TIOCEXCL, "TIOCEXCL"},
	{unix.TIOCNXCL, "TIOCNXCL"},
	{unix.TIOCSCTTY, "TIOCSCTTY"},
	{unix.TIOCGPGRP, "TIOCGPGRP"},
	{unix.TIOCSPGRP, "TIOCSPGRP"},
	{unix.TIOCOUTQ, "TIOCOUTQ"},
	{unix.TIOCSTI, "TIOCSTI"},
	{unix.TIOCGWINSZ, "TIOCGWINSZ"},
	{unix.TIOCSWINSZ, "TIOCSWINSZ"},
	{unix.TIOCMGET, "TIOCMGET"},
	{unix.TIOCCONS, "TIOCCONS"},
	{0x541b, "FIONREAD"},
	{unix.TIOCPKT, "TIOCPKT"},
	{0x5421, "FIONBIO"},
	{unix.TIOCNOTTY, "TIOCNOTTY"},
	{unix.TIOCSETD, "TIOCSETD"},
	{unix.TIOCGETD, "TIOCGETD"},
	{unix.TCSBRKP, "TCSBRKP"},
	{unix.TIOCGSID, "TIOCGSID"},
	{unix.TCGETS2, "TCGETS2"},
	{unix.TCSETS2, "TCSETS2"},
	{unix.TIOCGPTN, "TIOCGPTN"},
	{unix.TIOCSPTLCK, "TIOCSPTLCK"},
	{unix.TIOCGPTPEER, "TIOCGPTPEER"},
	{abi.FIONCLEX, "FIONCLEX"},
	{abi.FIOCLEX, "FIOCLEX"},
	{abi.FIOASYNC, "FIOASYNC"},
	{abi.FIOQSIZE, "FIOQSIZE"},
	{unix.TIOCVHANGUP, "TIOCVHANGUP"},
	{unix.FS_IOC_GETFLAGS, "FS_IOC_GETFLAGS"},
	{unix.FS_IOC_SETFLAGS, "FS_IOC_SETFLAGS"},
	{unix.FICLONE, "FICLONE"},
	{unix.FICLONERANGE, "FICLONERANGE"},
	{unix.FIDEDUPERANGE, "FIDEDUPERANGE"},
	{0xc020660b, "FS_IOC_FIEMAP"},
	{unix.SIOCGIFCONF, "SIOCGIFCONF"},
	{unix.SIOCGIFNAME, "SIOCGIFNAME"},
	{unix.SIOCGIFINDEX, "SIOCGIFINDEX"},
	{unix.SIOCGIFFLAGS, "SIOCGIFFLAGS"},
	{unix.SIOCGIFADDR, "SIOCGIFADDR"},
	{unix.SIOCGIFMTU, "SIOCGIFMTU"},
	{unix.SIOCGIFHWADDR, "SIOCGIFHWADDR"},
	{unix.SIOCGPGRP, "SIOCGPGRP"},
	{unix.SIOCSPGRP, "SIOCSPGRP"},
	{unix.SIOCATMARK, "SIOCATMARK"},
	{unix.BLKGETSIZE64, "BLKGETSIZE64"},
	{unix.BLKSSZGET, "BLKSSZGET"},
}}
