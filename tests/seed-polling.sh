#!/usr/bin/env bash
# Boots a live ISO as the seed project's recipes did, and tells when they knew what: the other side of `make e2e`.
#
#   seed-polling.sh ISO FIRMWARE-CODE FIRMWARE-VARS DIRECTORY [QEMU ARGUMENT...]
#
# QEMU writes the serial console to a file; a loop looks into it every 5 seconds for the marker, for ten minutes; then a
# loop tries SSH every 3 seconds, for 90 seconds; then 15 seconds let things settle. A panic is known only when one of
# the loops gives up. The sleeps are what is measured, so they stand here as they stood there.
#
# Prints KEY=SECONDS-SINCE-POWER-ON lines: marker, ssh, settled, fault (the guest's own line), verdict; and outcome=.
set -euo pipefail

readonly MARKER=BOOTGATE-LIVE-READY MARKER_TRIES=120 MARKER_EVERY=5 SSH_TRIES=30 SSH_EVERY=3 SETTLE=15

iso=$1 code=$2 vars=$3 directory=$4
shift 4
serial=$directory/serial.log
: >"$serial"
cp "$vars" "$directory/vars.fd"
# ssh asks this program for the password, since there is no terminal.
askpass=$directory/askpass
printf '#!/bin/sh\necho live\n' >"$askpass"
chmod 700 "$askpass"
port=$(awk 'BEGIN { srand(); print 20000 + int(rand() * 10000) }')

power_on=$(date +%s.%N)
since() { awk -v from="$power_on" -v to="${1:-$(date +%s.%N)}" 'BEGIN { printf "%.2f\n", to - from }'; }

qemu-system-x86_64 "$@" -display none -monitor none -serial "file:$serial" \
  -drive "if=pflash,format=raw,readonly=on,file=$code" -drive "if=pflash,format=raw,file=$directory/vars.fd" \
  -device virtio-scsi-pci -drive "if=none,id=cd,media=cdrom,readonly=on,file=$iso" -device scsi-cd,drive=cd,bootindex=0 \
  -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net \
  >"$directory/qemu.log" 2>&1 &
qemu=$!
# When the guest said that a fault strikes: this script's policy does not look for it, its measurement does.
# The search ends with its line, whether or not anything more is printed.
(grep --text --quiet --max-count 1 'live-fault: ' < <(tail -n +1 --follow --pid "$qemu" "$serial" 2>/dev/null) &&
  date +%s.%N >"$directory/fault") &
watch=$!
trap 'kill "$qemu" 2>/dev/null || true; wait "$qemu" "$watch" 2>/dev/null || true' EXIT

finish() {
  echo "verdict=$(since)"
  if [[ -s $directory/fault ]]; then echo "fault=$(since "$(<"$directory/fault")")"; fi
  echo "outcome=$1"
  exit 0
}

logged_in() {
  SSH_ASKPASS=$askpass SSH_ASKPASS_REQUIRE=force ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR -o ConnectTimeout=5 -o NumberOfPasswordPrompts=1 -p "$port" liveuser@127.0.0.1 true \
    </dev/null >/dev/null 2>&1
}

for ((try = 0; ; try += 1)); do
  ((try < MARKER_TRIES)) || finish 'no marker in ten minutes'
  if grep -q "$MARKER" "$serial"; then break; fi
  sleep "$MARKER_EVERY"
done
echo "marker=$(since)"

for ((try = 0; ; try += 1)); do
  ((try < SSH_TRIES)) || finish 'serial marker seen but SSH not ready after 90 s'
  if logged_in; then break; fi
  sleep "$SSH_EVERY"
done
echo "ssh=$(since)"

sleep "$SETTLE"
echo "settled=$(since)"
finish ready
