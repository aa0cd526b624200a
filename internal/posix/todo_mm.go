package posix

type Memory struct{}

var memoryCalls, execCalls, cloneCalls, futexCalls calls
