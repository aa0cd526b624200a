package host

import "path/filepath"

// SecretPaths returns the places below home where users keep what opens other
// doors: keys, tokens, passwords, sessions. It is the one list of them; a
// default box hides them all. Whether they exist does not matter. The list
// grows by an entry with a reason; a program that needs one gets it by name.
func SecretPaths(home string) []string {
	list := make([]string, len(secretPaths))
	for i, p := range secretPaths {
		list[i] = filepath.Join(home, p)
	}
	return list
}

// MachineSecretPaths returns those of the machine itself and of the services on
// it. The rest of /run and /sys is there to be read, as the host's user can:
// programs learn from them how to resolve names and how many processors there
// are.
func MachineSecretPaths() []string { return machineSecretPaths }

var machineSecretPaths = []string{
	"/run/user",                              // of logins: keyrings, agents' directories, the desktop's tokens
	"/run/secrets",                           // of containers: what an orchestrator hands to a service
	"/var/run/secrets",                       // the same where /var/run is a directory: Kubernetes's tokens
	"/run/credentials",                       // systemd's credentials of services
	"/etc/credstore",                         // and where they are kept
	"/etc/ssl/private",                       // keys of certificates
	"/etc/pki/tls/private",                   // the same, by Red Hat's name
	"/etc/letsencrypt",                       // keys of certificates, and the account's
	"/etc/kubernetes",                        // a node's keys and its administrator's
	"/etc/rancher",                           // the same, k3s's
	"/var/lib/kubelet",                       // pods' secrets
	"/etc/wireguard",                         // keys of private networks
	"/var/lib/tailscale",                     // the same
	"/etc/NetworkManager/system-connections", // passwords of networks
}

var secretPaths = []string{
	// Keys and the logins of machines.
	".ssh",                  // private keys, known hosts, sockets of agents and of shared connections
	".gnupg",                // GnuPG's private keys and trust
	".pki",                  // NSS's certificates and keys
	".netrc",                // passwords for ftp, curl, git and others
	"_netrc",                // the same, by the name that programs from Windows use
	".authinfo",             // the same, Emacs's
	".authinfo.gpg",         // the same, encrypted to a key whose agent may be open
	".rhosts",               // who may log in without a password
	".shosts",               // the same, for ssh
	".Xauthority",           // opens the X display: keystrokes and screen
	".ICEauthority",         // opens the desktop's session manager
	".k5login",              // whom Kerberos lets in
	".google_authenticator", // seeds of one-time passwords
	".step",                 // smallstep's certificate keys
	".config/age",           // age's identities
	".config/sops",          // the keys of sops
	".local/share/mkcert",   // the key of a root certificate that this machine trusts
	".putty",                // PuTTY's keys and sessions
	".vnc",                  // passwords of screens

	// Password stores and keyrings.
	".password-store",          // pass
	".local/share/gopass",      // gopass's stores
	".config/gopass",           // and its configuration
	".local/share/keyrings",    // GNOME's keyring
	".gnome2/keyrings",         // the same, of old
	".local/share/kwalletd",    // KDE's wallet
	".kde/share/apps/kwallet",  // the same, of old
	".kde4/share/apps/kwallet", // the same, of old
	".config/keepassxc",        // KeePassXC's settings and key files
	".config/KeePass",          // KeePass's
	".config/Bitwarden",        // Bitwarden's vault
	".config/Bitwarden CLI",    // and its command's
	".config/1Password",        // 1Password's vault
	".config/op",               // and its command's sessions
	".lastpass",                // LastPass's command
	".config/rbw",              // rbw, a command for Bitwarden
	".local/share/rbw",         // and its vault
	".config/Authy Desktop",    // one-time passwords
	".electrum",                // wallets of coins
	".bitcoin",                 // wallets of coins
	".ethereum",                // wallets of coins
	".config/solana",           // wallets of coins

	// Clouds and clusters.
	".aws",                               // Amazon: keys, sessions of sso
	".azure",                             // Microsoft: tokens
	".config/gcloud",                     // Google: tokens, keys of service accounts
	".boto",                              // Google and Amazon, by gsutil and boto
	".kube",                              // Kubernetes: certificates and tokens of clusters
	".minikube",                          // keys of a local cluster
	".config/doctl",                      // DigitalOcean
	".config/hcloud",                     // Hetzner
	".config/scw",                        // Scaleway
	".oci",                               // Oracle
	".bluemix",                           // IBM
	".aliyun",                            // Alibaba
	".linode-cli",                        // Linode, of old
	".config/linode-cli",                 // Linode
	".fly",                               // fly.io
	".config/flyctl",                     // fly.io
	".config/heroku",                     // Heroku's command (the tokens are in .netrc)
	".config/netlify",                    // Netlify
	".local/share/com.vercel.cli",        // Vercel
	".config/.wrangler",                  // Cloudflare
	".wrangler",                          // Cloudflare, of old
	".cloudflared",                       // tunnels of Cloudflare
	".terraform.d/credentials.tfrc.json", // Terraform: tokens
	".terraformrc",                       // the same
	".pulumi",                            // Pulumi: tokens and keys of stacks
	".vault-token",                       // HashiCorp Vault
	".config/openstack",                  // OpenStack: clouds.yaml
	".config/rclone",                     // passwords of remotes
	".rclone.conf",                       // the same, of old
	".s3cfg",                             // s3cmd: keys
	".s3ql",                              // s3ql: keys
	".config/tailscale",                  // keys of a private network
	".databrickscfg",                     // Databricks
	".snowsql",                           // Snowflake
	".snowflake",                         // Snowflake
	".kaggle",                            // Kaggle
	".cache/huggingface/token",           // Hugging Face
	".huggingface",                       // the same, of old
	".config/ngc",                        // NVIDIA's registry
	".ngc",                               // the same, of old

	// Forges, registries and package managers.
	".config/gh",                   // GitHub's command: tokens
	".config/hub",                  // GitHub's command, of old
	".config/glab-cli",             // GitLab's command
	".config/tea",                  // Gitea's command
	".config/github-copilot",       // tokens
	".git-credentials",             // passwords that git stores
	".config/git/credentials",      // the same
	".cache/git/credential",        // the socket of git's cache
	".gitcookies",                  // sessions of Gerrit
	".hgrc",                        // Mercurial: passwords in [auth]
	".subversion/auth",             // Subversion's passwords
	".docker",                      // registry logins, contexts with keys
	".config/containers/auth.json", // podman: registry logins
	".npmrc",                       // npm: tokens
	".yarnrc",                      // yarn: tokens
	".yarnrc.yml",                  // the same
	".config/configstore",          // tokens of many commands written for node
	".pypirc",                      // PyPI: tokens
	".config/pypoetry",             // Poetry: tokens
	".config/pip",                  // indexes with passwords in their addresses
	".pip",                         // the same, of old
	".condarc",                     // channels with tokens in their addresses
	".cargo/credentials",           // crates.io: tokens
	".cargo/credentials.toml",      // the same
	".gem/credentials",             // RubyGems: tokens
	".local/share/gem/credentials", // the same
	".bundle/config",               // Bundler: passwords of sources
	".composer/auth.json",          // Composer: tokens
	".config/composer/auth.json",   // the same
	".m2/settings.xml",             // Maven: passwords of servers
	".m2/settings-security.xml",    // and what decrypts them
	".gradle/gradle.properties",    // Gradle: passwords of repositories
	".sbt/.credentials",            // sbt: the same
	".ivy2/.credentials",           // Ivy: the same
	".nuget/NuGet",                 // NuGet: the same
	".config/NuGet",                // NuGet: the same
	".hex",                         // Hex: keys
	".config/helm",                 // Helm: registry logins
	".config/goose",                // keys of language models

	// Assistants with tokens of their own.
	".claude/.credentials.json", // tokens
	".claude.json",              // sessions and keys
	".codex/auth.json",          // tokens
	".gemini",                   // tokens
	".config/io.datasette.llm",  // keys

	// Browsers: cookies are logins.
	".mozilla",                         // Firefox: cookies, passwords
	".config/mozilla",                  // the same, where it moves to
	".librewolf",                       // Firefox's relatives
	".waterfox",                        // Waterfox, another
	".thunderbird",                     // mail and its passwords
	".config/google-chrome",            // Chrome
	".config/google-chrome-beta",       // its channels
	".config/google-chrome-unstable",   // its channels
	".config/chromium",                 // Chromium
	".config/BraveSoftware",            // Brave
	".config/microsoft-edge",           // Edge
	".config/microsoft-edge-beta",      // its channels
	".config/microsoft-edge-dev",       // its channels
	".config/vivaldi",                  // Vivaldi
	".config/opera",                    // Opera
	".config/epiphany",                 // GNOME's browser, of old
	".local/share/epiphany",            // GNOME's browser
	".config/falkon",                   // KDE's browser
	".local/share/qutebrowser",         // qutebrowser
	".cache/mozilla",                   // pages seen while logged in
	".cache/google-chrome",             // the same of Chrome
	".cache/chromium",                  // the same of Chromium
	".cache/BraveSoftware",             // the same of Brave
	".cache/microsoft-edge",            // the same of Edge
	"snap/firefox",                     // Firefox as a snap
	"snap/chromium",                    // Chromium as a snap
	"snap/brave",                       // Brave as a snap
	"snap/thunderbird",                 // Thunderbird as a snap
	".var/app/org.mozilla.firefox",     // Firefox as a flatpak
	".var/app/org.mozilla.Thunderbird", // Thunderbird as a flatpak
	".var/app/org.chromium.Chromium",   // Chromium as a flatpak
	".var/app/com.google.Chrome",       // Chrome as a flatpak
	".var/app/com.brave.Browser",       // Brave as a flatpak
	".var/app/com.microsoft.Edge",      // Edge as a flatpak
	".tor-browser",                     // Tor Browser
	".local/share/torbrowser",          // the same, by its launcher

	// Mail, chat: messages, and logins that last.
	".config/Slack",                // Slack
	".config/discord",              // Discord
	".config/Signal",               // with the key of its messages
	".local/share/TelegramDesktop", // Telegram
	".config/Element",              // Element
	".config/teams",                // Teams
	".config/skypeforlinux",        // Skype
	".config/evolution",            // GNOME's mail
	".local/share/evolution",       // its mail
	".config/goa-1.0",              // GNOME's online accounts
	".config/kdeconnect",           // keys of paired telephones
	".mutt",                        // passwords in a configuration
	".muttrc",                      // the same
	".config/mutt",                 // the same
	".config/neomutt",              // the same
	".msmtprc",                     // passwords of mail servers
	".config/msmtp",                // the same
	".fetchmailrc",                 // passwords of fetchmail
	".mbsyncrc",                    // passwords of mbsync
	".offlineimaprc",               // passwords of OfflineIMAP
	".config/weechat",              // passwords of networks
	".weechat",                     // the same, of old
	".irssi",                       // passwords of networks
	".purple",                      // Pidgin: passwords in the clear

	// Data bases.
	".pgpass",                  // PostgreSQL's passwords
	".pg_service.conf",         // the same
	".my.cnf",                  // MySQL's password
	".mylogin.cnf",             // the same, obscured
	".dbeaver4",                // connections with passwords
	".local/share/DBeaverData", // the same, newer
	".config/mongocli",         // MongoDB Atlas: keys
	".config/atlascli",         // the same

	// File shares.
	".smbcredentials",   // SMB's passwords
	".davfs2",           // WebDAV's passwords
	".config/filezilla", // passwords of servers
	".config/lftp",      // the same
	".local/share/lftp", // its history of addresses with passwords

	// Histories: passwords are typed into the wrong line, and given as arguments.
	".bash_history",                  // bash
	".zsh_history",                   // zsh
	".zhistory",                      // zsh, in some set-ups
	".histfile",                      // zsh, in others
	".history",                       // csh, tcsh
	".sh_history",                    // ksh
	".ash_history",                   // busybox
	".local/share/fish/fish_history", // fish
	".config/fish/fish_history",      // fish, of old
	".local/share/atuin",             // a data base of histories, with its key
	".python_history",                // Python
	".node_repl_history",             // node
	".irb_history",                   // Ruby
	".psql_history",                  // PostgreSQL
	".mysql_history",                 // MySQL
	".sqlite_history",                // SQLite
	".rediscli_history",              // Redis, whose AUTH is a line
	".mongosh",                       // MongoDB
	".lesshst",                       // less: what was searched for
	".viminfo",                       // registers and command lines
}
