# The commands of this repository; `make` alone lists them. Each may be given at any time, also several at once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check lint tests deps browser guest live recordings e2e bench qemu10 otlp package

# The scripts for this machine, and those that a guest's busybox runs.
begin_with = $(shell find .ci .github fixtures tests -type f -exec awk 'FNR == 1 && /^\#!.*$(1)$$/ { print FILENAME } { nextfile }' {} +)
host_scripts = $(call begin_with,bash)
guest_scripts = $(call begin_with,[ \/]sh)
# Test binaries that start neither QEMU nor a browser.
light_tests = $(patsubst %,--test %,$(filter-out real_% browser e2e,$(basename $(notdir $(wildcard tests/*.rs))) $(patsubst tests/%/main.rs,%,$(wildcard tests/*/main.rs))))
has_nextest = cargo nextest --version >/dev/null 2>&1

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The dev profile: a fresh clone builds in three quarters of the time, the tests use the same build, and a gate waits for
# its guest and not for us.
demo: deps ## install what is missing, build bootgate and the tiny guest, and run a whole gate on it
	cargo build --locked
	iso=$$(fixtures/guests/tiny/build.sh | tail -n 1); exec cargo run --quiet --locked -- demo --iso "$$iso"

test: deps ## install what is missing, build the guests, and pass every check and test
	$(MAKE) --no-print-directory guest
	$(MAKE) --no-print-directory live
	$(MAKE) --no-print-directory qemu10
	$(MAKE) --no-print-directory browser
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory tests

check: lint ## the checks and the tests that start no QEMU and no browser: the inner loop
	if $(has_nextest); then cargo nextest run --locked -E 'not binary(/^(real_|browser$$)/)'; \
	else cargo test --locked --lib --bins $(light_tests); fi

lint: ## formatting, clippy, documentation, shell scripts and, where cargo-deny is installed, dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	shellcheck --severity=style $(host_scripts)
	shellcheck --severity=warning --shell=dash $(guest_scripts)
	if cargo deny --version >/dev/null 2>&1; then \
	  cargo deny --locked --config .github/deny.toml check bans licenses sources; \
	else echo 'cargo-deny is not installed, so the dependencies stay unchecked here; CI checks them'; fi

# The documentation's examples come first, so that the last line is the count of the tests.
tests: ## every test, on what the other commands have built
	cargo test --locked --doc
	if $(has_nextest); then cargo nextest run --locked; else cargo test --locked --lib --bins --tests; fi

e2e: live ## the whole gate of a live-ISO project on the guest debian-live, and each of its failures (15 minutes)
	cargo test --locked --test e2e

otlp: deps ## the build with OpenTelemetry spans: clippy, its tests, and a real collector that takes them
	cargo clippy --locked --features otlp --all-targets -- -D warnings
	cargo test --locked --features otlp --lib cli::collector
	cargo test --locked --features otlp --test otlp

# The dev profile, like everything here: what takes time is QEMU, zstd and SHA-256, and the last two are optimised in it.
bench: guest qemu10 ## time from a failure to a bundle, and from a bundle to a guest that answers
	cargo bench --locked --profile dev --bench checkpoint

deps: ## install the packages that are missing (Debian 12, Debian 13, Ubuntu 24.04)
	.ci/install-deps

browser: ## install what the tests of the page need: Chromium, and axe-core for it
	.ci/install-deps --browser

guest: deps ## build the tiny guest, or find the one already built
	fixtures/guests/tiny/build.sh

live: deps ## build the guest debian-live, or find the one already built
	fixtures/guests/debian-live/build.sh

# Needs musl-tools and cargo-deb, and says so.
package: ## build what a release consists of into target/dist: static binary, archive, Debian package, checksums
	rm -rf target/dist
	.github/release/build.sh target/dist

# On real guests: it takes some minutes. Commit what it leaves.
recordings: guest ## record fixtures/runs anew: every row of the fault table, and gates that pass
	export BOOTGATE_KEEP_RECORDINGS=fixtures/runs; \
	cargo test --locked --test real_faults -- --test-threads=1; \
	cargo test --locked --test real_gate -- --test-threads=1 uefi_on_the_packaged encrypted wrong_passphrase; \
	cargo test --locked --test real_unlock -- --test-threads=1

qemu10: deps ## unpack a QEMU 10 beside Debian 12's 7.2, so that both are tested
	if grep -q '^ID=ubuntu' /etc/os-release; then echo 'Ubuntu has no QEMU 10 to unpack: its own QEMU is tested'; \
	else fixtures/qemu10/unpack.sh; fi
