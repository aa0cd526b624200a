#!/bin/sh
# A Go program is built and runs.
# needs: go
set -e
export GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOPROXY=off CGO_ENABLED=0 GOTELEMETRY=off
mkdir prog
cd prog
cat >go.mod <<X
module example.test/prog

go 1.21
X
cat >main.go <<X
package main

import (
	"fmt"
	"example.test/prog/twice"
)

func main() { fmt.Println("6 * 7 =", twice.Of(21)) }
X
mkdir twice
cat >twice/twice.go <<X
// Package twice doubles.
package twice

// Of returns 2n.
func Of(n int) int { return 2 * n }
X
cat >twice/twice_test.go <<X
package twice

import "testing"

func TestOf(t *testing.T) {
	if Of(2) != 4 {
		t.Fatal("2+2")
	}
}
X
go build -trimpath -o ../program .
../program
go vet ./...
go test -count=1 ./... | sed 's/[0-9.]*s$//'
go list ./...
