#include "check.h"

static volatile int step;
static void *page;
static void *addr0;

static void fault(int s, siginfo_t *i, void *u) {
	ucontext_t *uc = u;
	greg_t *g = uc->uc_mcontext.gregs;
	say("step %d signal %d code %d addr %lx trapno %lld err %llx cr2 %lx\n", step, s, i->si_code,
	    (long)((char *)i->si_addr - (char *)addr0), g[REG_TRAPNO], s == SIGSEGV || s == SIGBUS ? g[REG_ERR] : 0, s == SIGSEGV && i->si_code != SI_KERNEL ? (long)(g[REG_CR2] - (greg_t)addr0) : 0);
	switch (step) {
	case 0: g[REG_RIP] += 3; break;
	case 1: mprotect(page, 4096, PROT_READ | PROT_WRITE); break;
	case 2: g[REG_RIP] += 2; break; // div
	case 3: g[REG_RIP] += 2; break; // ud2
	case 4: break;                  // int3 is past itself
	case 5: g[REG_RIP] += 1; break; // hlt
	case 6: g[REG_RIP] += 3; break;
	case 7: break;
	}
}

int main(void) {
	int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	for (int i = 0; i < 5; i++) on3(sigs[i], fault, 0);
	step = 0;
	__asm__ volatile("xor %%eax, %%eax\n mov (%%rax), %%rbx" ::: "rax", "rbx");
	step = 1;
	page = addr0 = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*(volatile char *)page = 7;
	say("repaired %d\n", *(char *)page);
	addr0 = 0;
	step = 2;
	extern char divat[], udat[], hltat[];
	addr0 = divat;
	__asm__ volatile("xor %%edx, %%edx\n xor %%ecx, %%ecx\n mov $1, %%eax\n .globl divat\ndivat: div %%ecx" ::: "rax", "rcx", "rdx", "memory");
	step = 3;
	addr0 = udat;
	__asm__ volatile(".globl udat\nudat: ud2" ::: "memory");
	step = 4;
	addr0 = 0;
	__asm__ volatile("int3" ::: "memory");
	step = 5;
	__asm__ volatile(".globl hltat\nhltat: hlt");
	// A file that is shorter than its mapping.
	step = 6;
	int fd = memfd_create("x", 0);
	addr0 = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (addr0 != MAP_FAILED) {
		register char *p __asm__("rax") = addr0;
		__asm__ volatile("mov (%%rax), %%rbx" ::"r"(p) : "rbx");
	} else
		say("step 6 no map\n");
	// Unmapped code, beyond where the heap of a static program may begin.
	pid_t p = fork();
	if (p == 0) {
		step = 7;
		addr0 = (void *)0x10000000;
		on3(SIGSEGV, fault, SA_RESETHAND);
		((void (*)(void))0x10000000)();
	}
	int st;
	waitpid(p, &st, 0);
	say("killed by %d core %d\n", WTERMSIG(st), 0);
	// A blocked fault kills.
	p = fork();
	if (p == 0) {
		block(SIGSEGV);
		*(volatile int *)0 = 1;
		_exit(0);
	}
	waitpid(p, &st, 0);
	say("blocked: killed by %d\n", WIFSIGNALED(st) ? WTERMSIG(st) : 0);
	return 0;
}
