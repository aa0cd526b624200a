package abi

// Operations of futex(2).
const (
	FUTEX_WAIT            = 0
	FUTEX_WAKE            = 1
	FUTEX_FD              = 2
	FUTEX_REQUEUE         = 3
	FUTEX_CMP_REQUEUE     = 4
	FUTEX_WAKE_OP         = 5
	FUTEX_LOCK_PI         = 6
	FUTEX_UNLOCK_PI       = 7
	FUTEX_TRYLOCK_PI      = 8
	FUTEX_WAIT_BITSET     = 9
	FUTEX_WAKE_BITSET     = 10
	FUTEX_WAIT_REQUEUE_PI = 11
	FUTEX_CMP_REQUEUE_PI  = 12
	FUTEX_LOCK_PI2        = 13

	FUTEX_PRIVATE_FLAG   = 128
	FUTEX_CLOCK_REALTIME = 256
	FUTEX_CMD_MASK       = ^(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)

	FUTEX_BITSET_MATCH_ANY = 0xffffffff
)

// Bits of a futex word that the kernel knows.
const (
	FUTEX_WAITERS     = 0x80000000
	FUTEX_OWNER_DIED  = 0x40000000
	FUTEX_TID_MASK    = 0x3fffffff
	ROBUST_LIST_LIMIT = 2048
)

// FUTEX_WAKE_OP's operations and comparisons.
const (
	FUTEX_OP_SET         = 0
	FUTEX_OP_ADD         = 1
	FUTEX_OP_OR          = 2
	FUTEX_OP_ANDN        = 3
	FUTEX_OP_XOR         = 4
	FUTEX_OP_OPARG_SHIFT = 8
	FUTEX_OP_CMP_EQ      = 0
	FUTEX_OP_CMP_NE      = 1
	FUTEX_OP_CMP_LT      = 2
	FUTEX_OP_CMP_LE      = 3
	FUTEX_OP_CMP_GT      = 4
	FUTEX_OP_CMP_GE      = 5
)

// Flags of futex_waitv(2) and its relatives.
const (
	FUTEX2_SIZE_U8   = 0
	FUTEX2_SIZE_U16  = 1
	FUTEX2_SIZE_U32  = 2
	FUTEX2_SIZE_U64  = 3
	FUTEX2_SIZE_MASK = 3
	FUTEX2_NUMA      = 4
	FUTEX2_MPOL      = 8
	FUTEX2_PRIVATE   = 128
	FUTEX_WAITV_MAX  = 128
)

// Codes of arch_prctl(2).
const (
	ARCH_SET_GS               = 0x1001
	ARCH_SET_FS               = 0x1002
	ARCH_GET_FS               = 0x1003
	ARCH_GET_GS               = 0x1004
	ARCH_GET_CPUID            = 0x1011
	ARCH_SET_CPUID            = 0x1012
	ARCH_GET_XCOMP_SUPP       = 0x1021
	ARCH_GET_XCOMP_PERM       = 0x1022
	ARCH_REQ_XCOMP_PERM       = 0x1023
	ARCH_GET_XCOMP_GUEST_PERM = 0x1024
	ARCH_REQ_XCOMP_GUEST_PERM = 0x1025
	ARCH_MAP_VDSO_X32         = 0x2001
	ARCH_MAP_VDSO_32          = 0x2002
	ARCH_MAP_VDSO_64          = 0x2003
	ARCH_GET_UNTAG_MASK       = 0x4001
	ARCH_ENABLE_TAGGED_ADDR   = 0x4002
	ARCH_GET_MAX_TAG_BITS     = 0x4003
	ARCH_FORCE_TAGGED_SVA     = 0x4004
	ARCH_SHSTK_ENABLE         = 0x5001
	ARCH_SHSTK_DISABLE        = 0x5002
	ARCH_SHSTK_LOCK           = 0x5003
	ARCH_SHSTK_UNLOCK         = 0x5004
	ARCH_SHSTK_STATUS         = 0x5005
)

// Commands and flags of membarrier(2).
const (
	MEMBARRIER_CMD_QUERY                                = 0
	MEMBARRIER_CMD_GLOBAL                               = 1 << 0
	MEMBARRIER_CMD_GLOBAL_EXPEDITED                     = 1 << 1
	MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED            = 1 << 2
	MEMBARRIER_CMD_PRIVATE_EXPEDITED                    = 1 << 3
	MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED           = 1 << 4
	MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE          = 1 << 5
	MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 1 << 6
	MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ               = 1 << 7
	MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ      = 1 << 8
	MEMBARRIER_CMD_GET_REGISTRATIONS                    = 1 << 9
	MEMBARRIER_CMD_FLAG_CPU                             = 1 << 0
)

// rseq(2)'s flag, and the values of a cpu_id that is none.
const (
	RSEQ_FLAG_UNREGISTER                   = 1
	RSEQ_CPU_ID_UNINITIALIZED              = -1
	RSEQ_CPU_ID_REGISTRATION_FAILED        = -2
	RSEQ_CS_FLAG_NO_RESTART_MASK           = 7
	RSEQ_SIG_X86                    uint32 = 0x53053053
)

// Keys of the auxiliary vector (getauxval(3)).
const (
	AT_NULL              = 0
	AT_IGNORE            = 1
	AT_EXECFD            = 2
	AT_PHDR              = 3
	AT_PHENT             = 4
	AT_PHNUM             = 5
	AT_PAGESZ            = 6
	AT_BASE              = 7
	AT_FLAGS             = 8
	AT_ENTRY             = 9
	AT_NOTELF            = 10
	AT_UID               = 11
	AT_EUID              = 12
	AT_GID               = 13
	AT_EGID              = 14
	AT_PLATFORM          = 15
	AT_HWCAP             = 16
	AT_CLKTCK            = 17
	AT_SECURE            = 23
	AT_BASE_PLATFORM     = 24
	AT_RANDOM            = 25
	AT_HWCAP2            = 26
	AT_RSEQ_FEATURE_SIZE = 27
	AT_RSEQ_ALIGN        = 28
	AT_HWCAP3            = 29
	AT_HWCAP4            = 30
	AT_EXECFN            = 31
	AT_SYSINFO_EHDR      = 33
	AT_MINSIGSTKSZ       = 51
)

// Other numbers that x/sys/unix lacks.
const (
	POLLRDNORM      = 0x40
	POLLRDBAND      = 0x80
	POLLWRNORM      = 0x100
	POLLWRBAND      = 0x200
	POLLMSG         = 0x400
	F_GETOWNER_UIDS = 17
	FIOCLEX         = 0x5451
	FIONCLEX        = 0x5450
	FIOASYNC        = 0x5452
	FIOSETOWN       = 0x8901
	FIOGETOWN       = 0x8903
	FIOQSIZE        = 0x5460
	KCMP_FILE       = 0
	KCMP_VM         = 1
	KCMP_FILES      = 2
	KCMP_FS         = 3
	KCMP_SIGHAND    = 4
	KCMP_IO         = 5
	KCMP_SYSVSEM    = 6
	KCMP_EPOLL_TFD  = 7
)

// Bounds of names, with the NUL but for NameMax.
const (
	PathMax     = 4096
	NameMax     = 255
	TaskCommLen = 16 // PR_SET_NAME's
	AnonNameLen = 80 // PR_SET_VMA_ANON_NAME's
)
