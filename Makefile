# The program is built in the release profile, the tests in one that takes half as long to compile.

.DEFAULT_GOAL := help
.PHONY: help build adapter train test lint bench

DOWNHILL := $(or $(CARGO_TARGET_DIR),target)/release/downhill

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## build target/release/downhill
	cargo build --release

adapter: build ## install Mesa's software adapter where no adapter answers
	@bash scripts/setup-adapter.sh $(DOWNHILL)

train: adapter ## train a small net on handwritten digits
	$(DOWNHILL) train examples/digits.toml

test: ## run all tests
	cargo test --profile quick --no-run
	@bash scripts/setup-adapter.sh $(dir $(DOWNHILL))../quick/downhill
	cargo test --profile quick

lint: ## check the format, and clippy with warnings denied
	cargo fmt --check
	cargo clippy --release --all-targets -- -D warnings

bench: adapter ## run the benchmarks
	cargo bench --benches
