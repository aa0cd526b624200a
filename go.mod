module github.com/hati-os/hati

go 1.26.8

require (
	github.com/alecthomas/kong v1.17.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/term v0.47.0 // indirect
)
