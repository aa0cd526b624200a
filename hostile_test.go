package hati_test

import (
	"bufio"
	"testing"

	"github.com/hati-os/hati"
)

// TestC13_MaskedKick: a guest that returns from a signal through hati's own code, with
// the signal masked by which hati stops threads, can be killed like any.
func TestC13_MaskedKick(t *testing.T) {
	dir := compiled(t, `
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>
#include <ucontext.h>
static char stack[65536] __attribute__((aligned(16)));
static ucontext_t u;
static void spin(void) { for (;;) __builtin_ia32_pause(); }
int main()
{
	const char *p = (char *)0x7e9000000000, *end = p + 4000; // the stub's page
	while (p < end && memcmp(p, "\xb8\x0f\0\0\0\x0f\x05", 7)) p++; // rt_sigreturn
	if (p == end) { puts("not found"); return 1; }
	u.uc_mcontext.gregs[REG_RIP] = (long)spin;
	u.uc_mcontext.gregs[REG_RSP] = (long)(stack + sizeof stack - 8);
	u.uc_mcontext.gregs[REG_EFL] = 0x202;
	u.uc_mcontext.gregs[REG_CSGSFS] = 0x33 | 0x2bUL << 48;
	u.uc_stack.ss_sp = (void *)0x7e9010001000; // the first slot's
	u.uc_stack.ss_size = 0x7000;
	*(uint64_t *)&u.uc_sigmask = 1 << 22; // SIGURG
	puts("spinning");
	fflush(stdout);
	asm volatile("mov %0, %%rsp\n\tjmp *%1" :: "r"(&u), "r"(p));
	__builtin_unreachable();
}
`)
	box := newBox(t, hati.Config{Mounts: []hati.Mount{hati.HostDir(dir, "/guest", hati.ReadOnly)}})
	cmd := box.Command("/guest/p")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "spinning\n" {
		t.Fatalf("%q, %v", line, err)
	}
	cmd.Process.Kill()
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
}
