#!/usr/bin/env bash
# Makes the pictures of a run's page that README.md shows: page-*.png beside this script. Usage: page.sh [RUN]
# Without a run it makes one that fails: the tiny guest panics under its installer. A minute or two without KVM.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
cargo build --quiet --locked
run=${1-}
if [[ -z $run ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  iso=$(fixtures/guests/tiny/build.sh --print-path | tail -n 1)
  sed -e "s|iso = .*|iso = \"$iso\"|" \
    -e 's|^memory = .*|&\naccelerator = "tcg"\nextra-args = ["-smbios", "type=1,serial=fault:panic-install"]|' \
    -e 's|^gate = .*|&\ntimeout-scale = 4.0\non-failure = "discard"|' \
    fixtures/gates/tiny-install.toml >"$work/tiny-install.toml"
  status=0
  (cd "$work" && "$OLDPWD/target/debug/bootgate" run tiny-install.toml >run.log 2>&1) || status=$?
  if ((status != 1)); then
    cat "$work/run.log" >&2
    exit 1
  fi
  run=$work/runs/last
fi
target/debug/bootgate report "$run" >/dev/null
BOOTGATE_PAGE=$(realpath "$run")/report.html BOOTGATE_PICTURES=$here \
  cargo test --quiet --locked --test browser pictures_of_a_page
ls -l "$here"/page-*.png
