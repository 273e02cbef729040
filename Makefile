# Every command the project has. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help check test test-hpa test-limit test-soak test-million soak test-e2e test-keda test-cert-manager test-policies bench bench-scale tools images release demo demo-clean clean setup sbom

CARGO ?= cargo
CLUSTER := tests/cluster/cluster
TESTS := --test it

help: ## list these targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 19

setup: ## install what the fast tests need
	@scripts/setup

check: setup ## formatting, lints, unit and integration tests that need no cluster
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items --quiet
	@# More threads than cores: the tests wait for processes more than they work.
	$(CARGO) test --locked --lib --bins $(TESTS) -- --test-threads=10

test-limit: setup ## the limit and its shares, the plan's arithmetic, the load test's ramp: measured with nothing beside them
	$(CARGO) test --locked $(TESTS) -- --ignored --test-threads=1 --nocapture --skip e2e:: limit:: shares:: plan:: loadtest::

test-soak: setup ## every fault at once, and memory, for a minute or two
	$(CARGO) test --locked $(TESTS) -- --ignored --test-threads=1 --nocapture --skip e2e:: soak:: memory::

soak: setup ## the same for 20 minutes in each mode
	CIO_TEST_SOAK_SECONDS=1200 $(CARGO) test --locked $(TESTS) -- --ignored --test-threads=1 --nocapture soak::

test-million: setup ## a file of a million lines, sent by runs that are killed: memory, and each line once; no part of `make test`
	$(CARGO) test --locked $(TESTS) -- --ignored --test-threads=1 --nocapture send::crash::

test-hpa: ## record Kubernetes' own HPA controller anew and compare with what the forecast is tested against
	@tests/hpa/record

test: check test-limit test-soak test-hpa test-e2e ## everything

bench: release ## the worker beside Node's, the load test beside k6 and oha; WRITE=1 puts the tables into docs/benchmarks.md
	@tests/bench/bench $(if $(WRITE),--write)
	@tests/bench/load/bench $(if $(WRITE),--write)

bench-scale: images ## 1,000 pipelines on nodes that are not there (half an hour); CIO_BENCH_PIPELINES, CIO_BENCH_QUIET_SECONDS, WRITE=1
	@tests/bench/scale/bench $(if $(WRITE),--write)

tools: ## build a Kubernetes and Helm into .cluster/bin
	@tests/cluster/tools

release: setup
	$(CARGO) build --locked --release

sbom: ## a CycloneDX bill of materials of the binary, for a release: cio.cdx.json
	@command -v cargo-cyclonedx >/dev/null || $(CARGO) install --locked cargo-cyclonedx@0.5.9
	$(CARGO) cyclonedx --format json --describe binaries --quiet

images: tools release ## build the images for the local cluster
	@tests/cluster/images base
	@tests/cluster/images project target/release/cio

test-e2e: setup images ## end to end, on a real Kubernetes
	@tests/cluster/images own-worker
	@tests/cluster/selftest
	@tests/e2e

test-keda: setup images ## beside a real KEDA, which takes ten minutes to build: no part of `make test`
	@tests/e2e keda

test-cert-manager: setup images ## with a real cert-manager, which takes ten minutes to build: no part of `make test`
	@tests/e2e cert_manager

test-policies: setup images ## where the network enforces NetworkPolicies: no part of `make test`
	@tests/e2e policies

demo: setup ## the main job, from nothing to a picture; CONTEXT=NAME IMAGE=REPO:TAG uses your own cluster
	@[ -n "$(CONTEXT)" ] || $(MAKE) --no-print-directory images
	@examples/demo/run

demo-clean: ## end the demo's cluster
	@$(CLUSTER) down

clean: demo-clean
	rm -rf .cluster target tests/node/node_modules tests/bench/node_modules tests/clients/*/node_modules examples/{producer,own-worker}/node_modules examples/own-worker/dist
