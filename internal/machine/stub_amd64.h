// Offsets shared by the stub (stub_amd64.s) and slot.go. A test compares them.

#define SLOT_MASK	$0xffffffffffff8000
#define SLOT_SIZE	0x8000
#define SLOTS_BASE	$0x7e9010000000
#define SLOTS_SIZE	$0x8000000
#define TEXT_BASE	$0x7e9000000000
#define TEXT_SIZE	$0x1000

// Fields of a slot.
#define S_STATE	0x00(R12)
#define S_SERVER_SLEEPS	0x04(R12)
#define S_STUB_SLEEPS	0x08(R12)
#define S_HOSTCALL	0x0c(R12)
#define S_FRAME	0x10(R12)
#define S_SIG	0x18(R12)
#define S_CODE	0x1c(R12)
#define S_INFO	0x20(R12)
#define S_KICK	0x28(R12)
#define S_SPIN	0x2c(R12)
#define S_OP	0x30(R12)
#define S_COUNT	0x34(R12)
#define S_PPID	0x38(R12)
#define S_BUSY	0x3c(R12)
#define S_LOCAL	0x40
#define S_RANGE_BEGIN	0x80(R12)
#define S_RANGE_END	0x88(R12)
#define S_RANGE_CANCEL	0x90(R12)
#define S_KICKSET	0x98
#define S_ALTSTACK	0xa0
#define S_GRANTS	0xb8(R12)
#define S_CALLS	0xc0
#define S_LASTSP	0x8c0(R12)
#define S_WAITS	0x8c8(R12)

#define STATE_RUN	$1
#define STATE_TRAP	$2

#define OP_RESUME	1
#define OP_CALLS	2
#define OP_CALLS_RESUME	3
#define OP_FORK	4
#define OP_THREAD	5
#define OP_EXIT	6
#define OP_WAIT	7
#define OP_PROBE	8

#define CODE_TRAP	$0
#define CODE_INTERRUPTED	$1
#define CODE_COMPLETED	$2
#define CODE_LOCAL_INTERRUPTED	$3
#define CODE_GRANT_INTERRUPTED	$4
#define CODE_SHORT	$5

// The table of granted descriptors.
#define GRANTS_MAX	$4096
#define GRANT_BASE	3
#define GRANT_READ	1
#define GRANT_WRITE	2
#define GRANT_FILE	4
#define GRANT_SOCKET	8

#define SIGSYS	$31
#define SIGKICK	$23

// Offsets in the ucontext that a signal frame holds.
#define UC_R8	40
#define UC_R9	48
#define UC_R10	56
#define UC_RDI	104
#define UC_RSI	112
#define UC_RDX	136
#define UC_RAX	144
#define UC_RSP	160
#define UC_RIP	168

// A label is a no-op that names its place: Go finds it by its bytes.
#define LABEL(id)	BYTE $0x0f; BYTE $0x1f; BYTE $0x84; BYTE $0x00; LONG $(0x68740000+id)

#define L_START	1
#define L_HANDLER	2
#define L_CLONE	3
#define L_BEGIN	4
#define L_END	5
#define L_CANCEL	6
#define L_LAST	7
