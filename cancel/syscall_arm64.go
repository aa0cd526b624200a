package cancel

// answersEINTR says that Syscall does not repeat the call trap.
func answersEINTR(trap uintptr) bool { return answersEINTRAnywhere(trap) }
