#!/usr/bin/env bash
# Takes the README's pictures of a terminal: a gate that passes and one that fails, watched in tmux at 80 and at 160 columns,
# while the guest boots, while it installs itself, and when the failed machine is held. Leaves SVG files in .github/pictures.
# It takes some minutes. Needed: tmux, python3-venv, and what `make demo` needs.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly pictures=$PWD/.github/pictures
# The one that draws: the Python package rich.
readonly RICH=15.0.0
readonly ROWS=24 WITHIN_SECONDS=600

# A short name, so that no path in a picture is broken.
work=$(mktemp -d /tmp/gXXX)
server=bootgate-pictures-$$
trap 'tmux -L "$server" kill-server 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$pictures"

cargo build --locked
bootgate=$PWD/target/debug/bootgate
iso=$(fixtures/guests/tiny/build.sh | tail -n 1)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/bootgate/pictures-$RICH
[[ -x $tools/bin/python ]] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet "rich==$RICH"; }

# The gate of the demo, whose guest panics in the middle of its installation. A copy keeps the paths in the pictures short.
cp "$bootgate" "$work/bootgate"
ln -s "$iso" "$work/tiny.iso"
cp fixtures/gates/tiny-install.toml "$work/gate.toml"
sed '/^\[machine\]/a extra-args = ["-smbios", "type=1,serial=fault:panic-install"]' "$work/gate.toml" >"$work/failing.toml"

# watch NAME COLUMNS COMMAND: starts it in a window of its own.
watch() {
  (
    cd "$work"
    env -u CI -u NO_COLOR -u TMUX LANG=C.UTF-8 PATH="$work:$PATH" \
      tmux -L "$server" -f /dev/null new-session -d -s "$1" -x "$2" -y "$ROWS" "$3; sleep 600"
  )
}

# picture NAME COLUMNS SCENE PATTERN: waits until the window shows that, and takes its picture.
picture() {
  local name=$1 columns=$2 scene=$3 pattern=$4 until=$((SECONDS + WITHIN_SECONDS))
  until tmux -L "$server" capture-pane -p -t "$name" | grep -Eq -- "$pattern"; do
    ((SECONDS < until)) || { tmux -L "$server" capture-pane -p -t "$name" >&2 && return 1; }
    sleep 0.5
  done
  # What follows at once belongs to the scene.
  sleep 1
  tmux -L "$server" capture-pane -e -p -t "$name" >"$work/$scene.ansi"
  "$tools/bin/python" tests/pictures/ansi_to_svg.py "$columns" "$ROWS" <"$work/$scene.ansi" \
    >"$pictures/terminal-$scene-$columns.svg"
  echo "terminal-$scene-$columns.svg"
}

for columns in 80 160; do
  watch "pass-$columns" "$columns" 'bootgate run gate.toml'
  picture "pass-$columns" "$columns" booting 'console +\[ +[0-9.]+\]'
  picture "pass-$columns" "$columns" installing '[4-9][0-9] %  '
  picture "pass-$columns" "$columns" passed '^Next: '
  watch "fail-$columns" "$columns" 'bootgate run failing.toml'
  picture "fail-$columns" "$columns" failed '^   look '
  tmux -L "$server" send-keys -t "fail-$columns" C-c
done
