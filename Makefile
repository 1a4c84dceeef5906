# The targets that people type. Each is one command, to be copied where there is no make.

LINT = go tool -modfile=tools/go.mod golangci-lint

.PHONY: demo test conformance conformance-full resilience bench fuzz lint fmt

demo: ## the gateway and services to try it on, in one process
	go run ./cmd/sluice demo

test: ## install what the tests need, then run them all over real servers
	go run ./test/testbed/prepare
	go test -race -p 2 -timeout 20m ./...

conformance: ## what every registry is held to, in the short form that is part of test
	go run ./test/testbed/prepare
	go test -race -timeout 15m ./test/conformance

conformance-full: ## all of it, half an hour; writes what it measured into docs/guide/registries.md
	go run ./test/testbed/prepare
	SLUICE_CONFORMANCE=full go test -count=1 -timeout 60m ./test/conformance -update

resilience: ## bad instances, at full length and beside the peers, a quarter of an hour; writes docs/guide/resilience.md's tables
	SLUICE_RESILIENCE=full go test -count=1 -v -timeout 40m ./test/e2e/resilience -update

bench: ## what the hot path's steps cost, with allocations
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME (10s)
	.ci/fuzz $(FUZZTIME)

lint: ## the linters of .golangci.yml
	$(LINT) run

fmt: ## gofmt and the order of imports
	$(LINT) fmt
