module github.com/hati-os/hati/bench/lane

go 1.26.8

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/hati-os/hati v0.0.0
	golang.org/x/sys v0.49.0
	google.golang.org/grpc v1.85.0
	zombiezen.com/go/capnproto2 v2.18.2+incompatible
)

require (
	github.com/tinylib/msgp v1.6.5 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/hati-os/hati => ../..
