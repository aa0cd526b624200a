package posix

import (
	"context"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// netSetting is a file below /proc/sys/net: as the network has it, if POSIX does not,
// and else as Linux has it.
func (k *Kernel) netSetting(ctx context.Context, name string) ([]byte, error) {
	switch name {
	case "ipv4/ip_unprivileged_port_start":
		return []byte(strconv.Itoa(unprivilegedPorts) + "\n"), nil
	case "unix/max_dgram_qlen":
		return []byte("10\n"), nil
	}
	if s, ok := k.config.Network.(vfs.NetSettings); ok {
		v, err := s.Setting(ctx, name)
		if errnoOf(err) != syscall.ENOENT {
			return []byte(v + "\n"), err
		}
	}
	v, ok := netDefaults[name]
	if dir, file := path.Split(name); !ok && strings.Contains(dir, "/conf/") {
		v, ok = netDefaults[dir[:strings.Index(dir, "/")]+"/conf/"+file]
	}
	if !ok {
		return nil, syscall.EINVAL
	}
	return []byte(v + "\n"), nil
}

// netDefaults are Linux's settings on a machine with a few GB.
var netDefaults = map[string]string{
	"core/busy_poll": "0", "core/busy_read": "0", "core/default_qdisc": "pfifo_fast", "core/netdev_max_backlog": "1000",
	"core/optmem_max": "131072", "core/rmem_default": "212992", "core/rmem_max": "212992", "core/somaxconn": "4096",
	"core/wmem_default": "212992", "core/wmem_max": "212992",

	"ipv4/icmp_echo_ignore_all": "0", "ipv4/ip_default_ttl": "64", "ipv4/ip_forward": "0",
	"ipv4/ip_local_port_range": "32768\t60999", "ipv4/ip_local_reserved_ports": "", "ipv4/ip_nonlocal_bind": "0",
	"ipv4/ping_group_range": "1\t0", "ipv4/tcp_abort_on_overflow": "0", "ipv4/tcp_allowed_congestion_control": "reno cubic",
	"ipv4/tcp_available_congestion_control": "reno cubic", "ipv4/tcp_congestion_control": "cubic", "ipv4/tcp_ecn": "2",
	"ipv4/tcp_fastopen": "1", "ipv4/tcp_fin_timeout": "60", "ipv4/tcp_keepalive_intvl": "75", "ipv4/tcp_keepalive_probes": "9",
	"ipv4/tcp_keepalive_time": "7200", "ipv4/tcp_max_syn_backlog": "1024", "ipv4/tcp_max_tw_buckets": "16384",
	"ipv4/tcp_mem": "46254\t61674\t92508", "ipv4/tcp_moderate_rcvbuf": "1", "ipv4/tcp_mtu_probing": "0",
	"ipv4/tcp_no_metrics_save": "0", "ipv4/tcp_notsent_lowat": "4294967295", "ipv4/tcp_orphan_retries": "0",
	"ipv4/tcp_retries1": "3", "ipv4/tcp_retries2": "15", "ipv4/tcp_rmem": "4096\t131072\t6291456", "ipv4/tcp_sack": "1",
	"ipv4/tcp_slow_start_after_idle": "1", "ipv4/tcp_syn_retries": "6", "ipv4/tcp_synack_retries": "5", "ipv4/tcp_syncookies": "1",
	"ipv4/tcp_timestamps": "1", "ipv4/tcp_tw_reuse": "2", "ipv4/tcp_window_scaling": "1", "ipv4/tcp_wmem": "4096\t16384\t4194304",
	"ipv4/udp_mem": "92511\t123348\t185022", "ipv4/udp_rmem_min": "4096", "ipv4/udp_wmem_min": "4096",

	"ipv4/conf/accept_redirects": "1", "ipv4/conf/accept_source_route": "0", "ipv4/conf/arp_ignore": "0",
	"ipv4/conf/forwarding": "0", "ipv4/conf/proxy_arp": "0", "ipv4/conf/route_localnet": "0", "ipv4/conf/rp_filter": "0",
	"ipv4/conf/send_redirects": "1",

	"ipv6/bindv6only": "0", "ipv6/ip_nonlocal_bind": "0",
	"ipv6/conf/accept_ra": "1", "ipv6/conf/accept_redirects": "1", "ipv6/conf/autoconf": "1", "ipv6/conf/disable_ipv6": "0",
	"ipv6/conf/forwarding": "0", "ipv6/conf/hop_limit": "64", "ipv6/conf/mtu": "1280", "ipv6/conf/use_tempaddr": "0",
}
