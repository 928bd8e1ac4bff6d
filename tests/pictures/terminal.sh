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

# Its name stands in the pictures.
work=/tmp/demo
server=bootgate-pictures-$$
mkdir "$work"
trap 'tmux -L "$server" kill-server 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$pictures"

cargo build --locked
bootgate=$PWD/target/debug/bootgate
iso=$(fixtures/guests/tiny/build.sh | tail -n 1)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/bootgate/pictures-$RICH
[[ -x $tools/bin/python ]] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet "rich==$RICH"; }

# The gate of the demo, and one whose guest panics in the middle of its installation.
cp "$bootgate" "$work/bootgate"
ln -s "$iso" "$work/tiny.iso"
cp fixtures/gates/tiny-install.toml "$work/gate.toml"
sed '/^\[machine\]/a extra-args = ["-smbios", "type=1,serial=fault:panic-install"]' "$work/gate.toml" >"$work/failing.toml"

# watch NAME COLUMNS COMMAND: starts it in a window of its own. What it writes can be read from descriptor 3 as well.
watch() {
  mkfifo "$work/$1"
  exec 3<>"$work/$1"
  (
    cd "$work"
    # In one go, so that nothing is written before somebody listens. `cat` keeps the window.
    env -u CI -u NO_COLOR -u TMUX LANG=C.UTF-8 PATH="$work:$PATH" \
      tmux -L "$server" -f /dev/null new-session -d -s "$1" -x "$2" -y "$ROWS" "$3; tmux wait-for -S $1; cat" \; \
      pipe-pane -t "$1" "exec cat >$work/$1" 3>&-
  )
}

# picture NAME COLUMNS SCENE PATTERN: waits until the window has shown that, and takes its picture.
picture() {
  local name=$1 columns=$2 scene=$3 pattern=$4
  timeout "$WITHIN_SECONDS" "$tools/bin/python" tests/pictures/until_shown.py "$pattern" <&3 ||
    { tmux -L "$server" capture-pane -p -t "$name" >&2 && return 1; }
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
  tmux -L "$server" send-keys -t "fail-$columns" C-c \; wait-for "fail-$columns"
done
