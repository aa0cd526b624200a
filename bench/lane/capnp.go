package main

import (
	"context"
	"net"

	capnp "zombiezen.com/go/capnproto2"
	"zombiezen.com/go/capnproto2/rpc"
	methods "zombiezen.com/go/capnproto2/server"
)

// The one method, as the schema compiler would name it: sum(bytes :Data) -> (sum :UInt64).
var capnpSum = capnp.Method{InterfaceID: 0xa1b2c3d4e5f60718, InterfaceName: "Summer", MethodName: "sum"}

func serveCapnp(path string) error {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	main := methods.New([]methods.Method{{
		Method: capnpSum,
		Impl: func(_ context.Context, _ capnp.CallOptions, params, results capnp.Struct) error {
			p, err := params.Ptr(0)
			if err != nil {
				return err
			}
			results.SetUint64(0, sum(p.Data()))
			return nil
		},
		ResultsSize: capnp.ObjectSize{DataSize: 8},
	}}, nil)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			rpc.NewConn(rpc.StreamTransport(c), rpc.MainInterface(main), rpc.ConnLog(nil))
		}
	}()
	return nil
}

func viaCapnp(path string, n int) (func() error, func(), error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, nil, err
	}
	conn := rpc.NewConn(rpc.StreamTransport(c), rpc.ConnLog(nil))
	ctx := context.Background()
	summer := conn.Bootstrap(ctx)
	payload := make([]byte, n)
	return func() error {
		_, err := summer.Call(&capnp.Call{
			Ctx:        ctx,
			Method:     capnpSum,
			ParamsSize: capnp.ObjectSize{PointerCount: 1},
			ParamsFunc: func(s capnp.Struct) error {
				d, err := capnp.NewData(s.Segment(), payload)
				if err != nil {
					return err
				}
				return s.SetPtr(0, d.List.ToPtr())
			},
		}).Struct()
		return err
	}, func() { conn.Close() }, nil
}
