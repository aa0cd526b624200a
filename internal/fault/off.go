//go:build !faultpoints

// Package fault has points at which tests stop the program to let something
// else happen first. Without the build tag faultpoints they cost nothing.
//
// The package imports the standard library only.
package fault

// Enabled reports whether the program was built with the points.
const Enabled = false

// Point is where a test may stop the program.
func Point(string) {}

// Set has f called at every point; nil ends that.
func Set(func(point string)) {}
