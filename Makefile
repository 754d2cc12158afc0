# What can be done here. `make` alone lists it. Arguments for the program: make run ARGS="join 'LINK'"

CARGO ?= cargo
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test check check-engines bench picture fuzz mutants deep dist

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building and testing need and this machine lacks (says what and why)
	@bash scripts/setup.sh test

run: ## install what building needs, build, and open the program (ARGS="lan" and the like)
	@bash scripts/setup.sh build
	@bash scripts/engines.sh build --release --locked --bin resonance
	@LD_LIBRARY_PATH=$$(bash scripts/engines.sh libraries) exec $(abspath $(or $(CARGO_TARGET_DIR),target))/release/resonance $(ARGS)

# One profile for program, tests and benches: the dependencies are built once.
test: setup ## install what the tests need and run them all
	$(CARGO) test --release --workspace --locked --no-fail-fast

check: ## format, lints and documentation, none with a warning
	@bash scripts/setup.sh check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --release --workspace --all-targets --locked --features steam-audio -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --locked

check-engines: setup ## build, link and test the optional engines, WebRTC's in a Debian 13 of its own; says plainly what was not
	@bash scripts/engines.sh check

bench: setup ## measure what we claim to be fast at, how it sounds, and how soon people meet behind every kind of router (an hour)
	$(CARGO) bench --workspace --locked --bench pipeline
	$(CARGO) bench --locked --bench quality
	$(CARGO) bench --workspace --locked --bench voice
	$(CARGO) test --release --workspace --locked --no-fail-fast --test suite -- --ignored measure

picture: ## take the picture of the README again, from three sessions that run
	@bash scripts/setup.sh test
	@$(CARGO) build --release --locked --bin resonance
	python3 scripts/picture.py $(or $(CARGO_TARGET_DIR),target)/release/resonance docs/screen.svg

fuzz: ## fuzz what is read from others, ten minutes a target (FOR=SECONDS for less or more)
	@bash scripts/fuzz.sh

mutants: setup ## change the protocol in a thousand small ways and see that its tests notice: hours
	@bash scripts/mutants.sh

dist: ## a tarball and a Debian package of the program with its man page and completions, under target/dist
	@bash scripts/setup.sh build
	@bash scripts/dist.sh

deep: setup ## the tests, the long ones too, then fuzzing and mutants
	$(CARGO) test --release --workspace --locked --no-fail-fast -- --include-ignored
	@bash scripts/fuzz.sh
	@bash scripts/mutants.sh
