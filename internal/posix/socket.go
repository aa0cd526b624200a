package posix

// socketCalls are the calls on sockets.
var socketCalls calls
