//go:build faultpoints

// Package fault has points at which tests stop the program to let something
// else happen first. Without the build tag faultpoints they cost nothing.
//
// The package imports the standard library only.
package fault

import "sync/atomic"

// Enabled reports whether the program was built with the points.
const Enabled = true

var hook atomic.Pointer[func(string)]

// Point is where a test may stop the program.
func Point(name string) {
	if f := hook.Load(); f != nil {
		(*f)(name)
	}
}

// Set has f called at every point; nil ends that.
func Set(f func(point string)) {
	if f == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&f)
}
