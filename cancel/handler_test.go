package cancel

import "golang.org/x/sys/unix"

// unmaskedHandler installs a handler for sig, as C code could, that does nothing and masks nothing: others may run on
// top of it.
func unmaskedHandler(sig unix.Signal) error {
	_, nothing, _, _, restorer, _ := codeAddrs() // callLeft changes two registers and returns
	return rtSigaction(int32(sig), &sigaction{
		handler:  nothing,
		flags:    saSiginfo | saOnstack | saRestart | saRestorer,
		restorer: restorer,
	}, nil)
}

// Disposition sets what sig does as exec leaves it: 0 for its default, 1 for nothing.
func Disposition(sig unix.Signal, handler uintptr) error {
	return rtSigaction(int32(sig), &sigaction{handler: handler}, nil)
}
