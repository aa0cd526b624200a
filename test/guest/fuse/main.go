// Program loopback is a go-fuse daemon that shows a directory: loopback
// MOUNTPOINT DIRECTORY.
package main

import (
	"log"
	"os"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	root, err := fs.NewLoopbackRoot(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	server, err := fs.Mount(os.Args[1], root, &fs.Options{
		NullPermissions: true,
		MountOptions:    fuse.MountOptions{DirectMount: true, FsName: os.Args[2], Name: "loopback"},
	})
	if err != nil {
		log.Fatal(err)
	}
	server.Wait()
}
