# make          builds ./hati
# make test     installs what the tests need (apt, as root) and runs them all
# make race     the same with the race detector in hati itself
# make hammer   what takes long: races of cancellation and lanes, Go's and Python's own tests
# make bench    measures: native, hati, gVisor if there is one
# make check    vet, format, arm64

GO ?= go

.PHONY: build test race hammer bench check setup

build:
	CGO_ENABLED=0 $(GO) build -o hati ./cmd/hati

setup:
	sh test/setup.sh

test: setup check
	$(GO) test -timeout 20m ./...
	$(GO) test -tags faultpoints -run "TestC|TestCancellation" ./internal/guard ./internal/posix

race: setup
	HATI_RACE=1 $(GO) test -race -timeout 40m ./...

hammer: export HATI_HAMMER = 1
hammer: setup
	$(GO) test -timeout 8h ./cancel/... ./lane/... ./vfs/remote/... ./internal/servers/fuse/... ./internal/servers/srv/... ./internal/guard/...
	$(GO) test -timeout 8h -run "Network|NetPrograms|Survivors|GuestsDieAtOnce|GoSuites|PythonSuites|PthreadCancelGlibc|ContractServed" ./test/...

bench:
	$(GO) run ./bench

check:
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./cancel/...
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
