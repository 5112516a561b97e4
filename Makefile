# Everything is built in the release profile, so that the dependencies are compiled once for all of these.

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
	cargo test --release --no-run
	@bash scripts/setup-adapter.sh $(DOWNHILL)
	cargo test --release

lint: ## check the format, and clippy with warnings denied
	cargo fmt --check
	cargo clippy --release --all-targets -- -D warnings

bench: adapter ## run the benchmarks
	cargo bench --benches
