package proc

import "strings"

// netFiles are the tables of the network.
var netFiles = files(0o444, "arp", "dev", "icmp", "icmp6", "if_inet6", "ipv6_route", "netlink", "netstat", "packet", "protocols", "raw", "raw6",
	"route", "snmp", "sockstat", "sockstat6", "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "unix")

// Settings below /proc/sys/net, by directory. What IPv4 and IPv6 have per interface is
// shown for all of them together.
func init() {
	ipv4Conf := files(0o644, strings.Fields("accept_redirects accept_source_route arp_ignore forwarding proxy_arp route_localnet rp_filter send_redirects")...)
	ipv6Conf := files(0o644, strings.Fields("accept_ra accept_redirects autoconf disable_ipv6 forwarding hop_limit mtu use_tempaddr")...)
	for path, list := range map[string][]entry{
		"sys/net": dirs("core", "ipv4", "ipv6", "unix"),
		"sys/net/core": files(0o644, strings.Fields(`busy_poll busy_read default_qdisc netdev_max_backlog optmem_max rmem_default
			rmem_max somaxconn wmem_default wmem_max`)...),
		"sys/net/ipv4": join(files(0o644, strings.Fields(`icmp_echo_ignore_all ip_default_ttl ip_forward ip_local_port_range
			ip_local_reserved_ports ip_nonlocal_bind ip_unprivileged_port_start ping_group_range tcp_abort_on_overflow
			tcp_allowed_congestion_control tcp_congestion_control tcp_ecn tcp_fastopen tcp_fin_timeout tcp_keepalive_intvl
			tcp_keepalive_probes tcp_keepalive_time tcp_max_syn_backlog tcp_max_tw_buckets tcp_mem tcp_moderate_rcvbuf
			tcp_mtu_probing tcp_no_metrics_save tcp_notsent_lowat tcp_orphan_retries tcp_retries1 tcp_retries2 tcp_rmem tcp_sack
			tcp_slow_start_after_idle tcp_syn_retries tcp_synack_retries tcp_syncookies tcp_timestamps tcp_tw_reuse
			tcp_window_scaling tcp_wmem udp_mem udp_rmem_min udp_wmem_min`)...),
			files(0o444, "tcp_available_congestion_control"), dirs("conf")),
		"sys/net/ipv4/conf":         dirs("all", "default"),
		"sys/net/ipv4/conf/all":     ipv4Conf,
		"sys/net/ipv4/conf/default": ipv4Conf,
		"sys/net/ipv6":              join(files(0o644, "bindv6only", "ip_nonlocal_bind"), dirs("conf")),
		"sys/net/ipv6/conf":         dirs("all", "default"),
		"sys/net/ipv6/conf/all":     ipv6Conf,
		"sys/net/ipv6/conf/default": ipv6Conf,
		"sys/net/unix":              files(0o644, "max_dgram_qlen"),
	} {
		systemEntries[path] = list
	}
}
