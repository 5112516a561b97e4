# The program is built in the release profile, the tests in one that compiles in half the time.

.DEFAULT_GOAL := help
.PHONY: help build adapter train test python-test mpi-test page-test web web-test web-bench lint reference bench

# With MEMBERS="-p downhill -p downhill-python" tests and lint compile what the Python package needs, so that it is compiled
# once for both.
MEMBERS :=
# All that needs no library of the system. FEATURES=--all-features has MPI too.
FEATURES := --features full

DOWNHILL := $(or $(CARGO_TARGET_DIR),target)/release/downhill

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

build: ## build target/release/downhill
	cargo build --release

adapter: build ## install Mesa's software adapter where no adapter answers
	@bash scripts/setup-adapter.sh $(DOWNHILL)

train: adapter ## train a small net on handwritten digits
	$(DOWNHILL) train examples/digits.toml

test: ## run all tests
	cargo test --profile quick $(MEMBERS) $(FEATURES) --no-run
	@bash scripts/setup-adapter.sh $(dir $(DOWNHILL))../quick/downhill
	cargo test --profile quick $(MEMBERS) $(FEATURES)

python-test: ## build the Python package and run its tests
	@bash scripts/python-test.sh

mpi-test: ## test several ranks under mpirun; installs Open MPI where there is none
	@bash scripts/setup-mpi.sh
	cargo test --profile quick $(MEMBERS) $(FEATURES) --features mpi --test mpi

page-test: ## run exported pages of deep nets and of every layer in headless Chromium
	cargo test --profile quick $(FEATURES) --test export -- --ignored page::

# All checks run in the tests' profile, so that dependencies and macros are compiled once.
lint: ## check the format, clippy and the documentation with warnings denied, and each set of features
	cargo fmt --all --check
	cargo clippy --profile quick $(MEMBERS) $(FEATURES) --all-targets -- -D warnings
	cargo clippy --profile quick --no-default-features -- -D warnings
	cargo clippy --profile quick --no-default-features --features cli -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --profile quick --no-deps $(FEATURES)

reference: ## write docs/reference again from the tables in the code, and docs/atlas.md from benches/atlas
	cargo run --profile quick $(FEATURES) -- reference --out docs/reference
	cargo run --profile quick $(FEATURES) -- bench atlas --compare benches/atlas/*.json --page docs/atlas.md

bench: adapter ## run the benchmarks
	cargo bench --benches

web: ## build the page in which the engine trains, target/site
	@bash scripts/web.sh

web-test: web ## train in headless Chromium, and compare with the program
	cargo build --profile quick $(FEATURES)
	@bash scripts/web-test.sh web/test.mjs

web-bench: web ## measure the page beside jax-js, in one browser
	@bash scripts/web-test.sh web/bench.mjs
