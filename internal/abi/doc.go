// Package abi is Linux's binary interface for x86-64, as far as
// golang.org/x/sys/unix does not give it or gives it in a form made for
// programs rather than for the kernel's side: structures as bytes in a guest's
// memory, the frame of a signal, names of numbers.
//
// Each structure X has a size SizeX, a method Encode that writes it to the
// first SizeX bytes of b, padding as zeros, and (where the kernel reads it) a
// method Decode that reads it from there. Like encoding/binary's functions they
// panic when b is shorter than SizeX: the caller's buffer is an array of that
// size, filled from the guest in one copy. Structures whose size the guest
// chooses (clone_args, open_how, sched_attr) return an errno instead. Nothing
// here allocates, keeps b, or checks what the values mean.
//
// The package imports package vfs and x/sys/unix, has no state and no locks;
// everything in it may be used concurrently.
package abi

import "encoding/binary"

var le = binary.LittleEndian
