// Program loopback is a go-fuse daemon that shows a directory: loopback
// MOUNTPOINT DIRECTORY [WITHOUT], without those capabilities of fuse_init_out.
package main

import (
	"log"
	"os"
	"strconv"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	root, err := fs.NewLoopbackRoot(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var without uint64
	if len(os.Args) > 3 {
		if without, err = strconv.ParseUint(os.Args[3], 0, 64); err != nil {
			log.Fatal(err)
		}
	}
	server, err := fs.Mount(os.Args[1], root, &fs.Options{
		NullPermissions: true,
		MountOptions:    fuse.MountOptions{DirectMount: true, FsName: os.Args[2], Name: "loopback", DisabledCapabilities: without},
	})
	if err != nil {
		log.Fatal(err)
	}
	server.Wait()
}
