# SecureAgent. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BUILD := build
JOBS ?= $(shell nproc)
# Debian's interpreter: the packages of `make deps` belong to it.
PYTHON ?= /usr/bin/python3

.PHONY: help deps build up demo test test-fast test-asan bench fuzz lint fmt clean

help: ## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

deps: ## install the Debian packages that building and testing need (idempotent)
	@tools/deps

build: deps ## build everything into build/bin
	@mkdir -p $(BUILD) && cmake --preset release >$(BUILD)/configure.log || { cat $(BUILD)/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS) -- $$([ -t 1 ] || echo --quiet)

up: build ## run SecureAgent here until Ctrl-C
	@$(BUILD)/bin/secureagent up

demo: build ## run real and hostile programs in sandboxes and show what happened
	@$(PYTHON) demo/demo.py

test: build ## everything: unit, API, escape, documents, sanitizers, fuzzers, lint
	@tests/run all

test-fast: build ## unit and API tests on the release build
	@tests/run fast

test-asan: deps ## unit and API tests under AddressSanitizer and UBSan
	@tests/run asan

bench: build ## measure side by side; writes docs/benchmarks.md and build/bench.json
	@tools/deps bench
	@$(PYTHON) bench/bench.py

fuzz: deps ## all fuzz targets in FUZZ_SECONDS (150), divided among them
	@tests/run fuzz

lint: deps ## formatting, clang-tidy, cppcheck, shellcheck
	@tests/run lint

fmt: deps ## format the C sources
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove what was built
	@rm -rf $(BUILD)
