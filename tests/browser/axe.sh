#!/usr/bin/env bash
# Prints the path of axe.min.js, which judges a page's accessibility inside a browser. The version and its digest stand in
# package-lock.json; npm fetches it once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lock=$(sha256sum "$here/package-lock.json")
cache=${BOOTGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bootgate}/browser-${lock:0:16}
axe=$cache/node_modules/axe-core/axe.min.js
if [[ ! -s $axe ]]; then
  command -v npm >/dev/null || {
    echo 'axe.sh: there is no npm: .ci/install-deps installs it' >&2
    exit 1
  }
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [[ ! -s $axe ]]; then
    cp "$here"/{package.json,package-lock.json,.npmrc} "$cache"
    npm ci --prefix "$cache" --ignore-scripts --no-audit --no-fund >&2
  fi
fi
echo "$axe"
