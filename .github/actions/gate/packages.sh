#!/usr/bin/env bash
# QEMU and firmware, where they are missing, and the right to use KVM, if the host has it.
set -euo pipefail

as_root() { if ((EUID == 0)); then "$@"; else sudo --non-interactive "$@"; fi; }

if [[ $PACKAGES == true ]]; then
  wanted=(ovmf qemu-system-x86 qemu-utils seabios)
  missing=()
  for package in "${wanted[@]}"; do
    state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) || state=none
    if [[ $state != installed ]]; then missing+=("$package"); fi
  done
  if ((${#missing[@]} > 0)); then
    as_root apt-get update --quiet
    as_root apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
  fi
fi

# A hosted runner has KVM and lets nobody open it; without it everything works, slower.
if [[ -e /dev/kvm && ! -w /dev/kvm ]]; then
  as_root chmod a+rw /dev/kvm || echo 'KVM stays closed; bootgate uses TCG'
fi
