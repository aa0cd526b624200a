//go:build ignore

// What package net tells of the interfaces, and of localhost.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	all, err := net.Interfaces()
	fmt.Println(len(all), err)
	for _, i := range all {
		addrs, err := i.Addrs()
		fmt.Println(i, addrs, err)
		byName, err := net.InterfaceByName(i.Name)
		fmt.Println(byName, err)
	}
	fmt.Println(net.InterfaceAddrs())
	_, err = net.InterfaceByName("nonesuch")
	fmt.Println(err)
	fmt.Println(net.LookupHost("localhost"))
	name, _ := os.Hostname()
	fmt.Println(net.LookupHost(name))
	for _, network := range []string{"tcp", "tcp4", "tcp6"} {
		l, err := net.Listen(network, "localhost:0")
		if err != nil {
			fmt.Println(err)
			continue
		}
		c, err := net.Dial(network, l.Addr().String())
		fmt.Println(l.Addr().(*net.TCPAddr).IP, err)
		if err == nil {
			c.Close()
		}
		l.Close()
	}
}
