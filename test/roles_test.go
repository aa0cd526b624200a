package test

import (
	"os"
)

// roleVar says what the test program is when it is not the tests: a program
// that one of them needs.
const roleVar = "HATI_TEST_ROLE"

var roles = map[string]func(argv []string) int{
	"heir":      inherit,
	"embedding": embed,
	"plain":     plain,
	"plainNet":  plainNet,
	"echo":      serveEcho,
}

func init() {
	role := os.Getenv(roleVar)
	if role == "" {
		return
	}
	os.Unsetenv(roleVar)
	os.Exit(roles[role](os.Args[1:]))
}

// as is the environment for a command that plays a role.
func as(role string) []string { return append(os.Environ(), roleVar+"="+role) }
