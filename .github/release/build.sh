#!/usr/bin/env bash
# Builds what a release consists of, for the machine that it runs on: a static binary, an archive and a Debian package of it, and
# their checksums. Each is tried before it counts: the archive's program runs, the package is unpacked and its program runs.
#
#   build.sh [--dev] FOLDER      --dev builds without optimisation, for a proof on a small machine
#
# Needs musl-tools, cargo-deb and Rust's musl target (added with rustup if it is missing).
set -euo pipefail
shopt -s inherit_errexit

readonly CARGO_DEB=3.8.0

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly repository
readonly staged=$repository/target/package

fail() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}

profile=release
if [[ ${1:-} == --dev ]]; then
  profile=dev
  shift
fi
[[ $# == 1 ]] || fail 'name the folder for what is built'
mkdir -p "$1"
output=$(cd "$1" && pwd)
[[ -z $(ls -A "$output") ]] || fail "$output is not empty"

target=$(uname -m)-unknown-linux-musl
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$repository/Cargo.toml")
epoch=$(git -C "$repository" log -1 --format=%ct)
export SOURCE_DATE_EPOCH=$epoch
command -v musl-gcc >/dev/null || fail 'musl-gcc is missing; install it with: apt-get install musl-tools'
[[ $(cargo deb --version 2>/dev/null) == "cargo-deb $CARGO_DEB" ]] ||
  fail "cargo-deb is missing; install it with: cargo install --locked --version $CARGO_DEB cargo-deb"
rustup target list --installed | grep -qx "$target" || rustup target add "$target"

# Exactly what a user types who builds it, with OpenTelemetry, which nobody can add to a package.
rm -rf "$staged"
cargo install --locked --path "$repository" --features otlp --target "$target" --profile "$profile" \
  --no-track --root "$staged/installed"
program=$staged/installed/bin/bootgate
if readelf --program-headers "$program" | grep -q INTERP; then fail "$program is not static"; fi

# As it lies below /usr.
tree=$staged/tree
doc=$tree/share/doc/bootgate
install -D -m 755 "$program" "$tree/bin/bootgate"
install -d "$doc"
cp -r "$repository"/{README.md,LICENSE-APACHE,LICENSE-MIT,docs,fixtures/gate.schema.json} "$doc"
install -D -m 644 "$repository/fixtures/gates/every-key.toml" "$doc/examples/every-key.toml"
install -d "$tree"/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d,man/man1}
"$program" completions bash >"$tree/share/bash-completion/completions/bootgate"
"$program" completions zsh >"$tree/share/zsh/vendor-completions/_bootgate"
"$program" completions fish >"$tree/share/fish/vendor_completions.d/bootgate.fish"
"$program" man "$tree/share/man/man1"
gzip --no-name --best "$tree"/share/man/man1/*.1

name=bootgate-$version-$target
tar --create --gzip --file "$output/$name.tar.gz" --directory "$staged" --sort=name --mtime="@$epoch" \
  --owner=0 --group=0 --numeric-owner --transform "s,^tree,$name," tree
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' "$repository/Cargo.toml")
printf 'bootgate (%s-1) unstable; urgency=medium\n\n  * What has changed is told where the release lies.\n\n -- %s  %s\n' \
  "$version" "$maintainer" "$(date --utc --rfc-email --date="@$epoch")" >"$staged/changelog"
(cd "$repository" && cargo deb --no-build --no-strip --target "$target" --output "$output/")

tried=$(mktemp -d)
trap 'rm -rf "$tried"' EXIT
tar --extract --gzip --file "$output/$name.tar.gz" --directory "$tried"
dpkg-deb --extract "$output"/bootgate_*.deb "$tried/deb"
for each in "$tried/$name/bin/bootgate" "$tried/deb/usr/bin/bootgate"; do
  [[ $("$each" --version) == "bootgate $version" ]] || fail "$each says another version than $version"
  "$each" triage --list >/dev/null
done
for each in man/man1/bootgate.1.gz man/man1/bootgate-run.1.gz bash-completion/completions/bootgate \
  zsh/vendor-completions/_bootgate fish/vendor_completions.d/bootgate.fish doc/bootgate/README.md; do
  [[ -s $tried/$name/share/$each && -s $tried/deb/usr/share/$each ]] || fail "share/$each is not in both, or empty"
done
# As the action installs a release.
mkdir -p "$tried/releases" "$tried/runner"
ln -s "$output" "$tried/releases/v$version"
RUNNER_TEMP=$tried/runner GITHUB_PATH=$tried/path VERSION=v$version SHA256=$(sha256sum "$output/$name.tar.gz" | cut -d ' ' -f 1) \
  BOOTGATE_RELEASES=file://$tried/releases "$repository/.github/actions/gate/install.sh" >/dev/null
[[ $("$tried/runner/bootgate/bin/bootgate" --version) == "bootgate $version" ]] || fail 'the action does not install it'
(cd "$output" && sha256sum -- *.tar.gz *.deb >"SHA256SUMS-$(uname -m)" && sha256sum --check --strict --quiet "SHA256SUMS-$(uname -m)")
ls -l "$output"
