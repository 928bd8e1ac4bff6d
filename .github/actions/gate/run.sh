#!/usr/bin/env bash
# Runs the gate, or one stage of it. bootgate takes the place of this shell, so that the signals of a cancelled job reach
# it: it then has five seconds for its evidence, and uses them.
set -euo pipefail

arguments=(run "$GATE" --runs "$RUNS" --ci github --on-failure bundle)
if [[ -n $STAGE ]]; then arguments+=(--stage "$STAGE"); fi
if [[ -n $FROM ]]; then arguments+=(--from "$FROM"); fi
if [[ -n $OUTPUT ]]; then
  mkdir -p "$(dirname "$OUTPUT")"
  arguments+=(--output "$OUTPUT")
fi
if [[ -n $SCRATCH ]]; then arguments+=(--scratch "$SCRATCH"); fi
while IFS= read -r argument; do
  if [[ -n $argument ]]; then arguments+=("$argument"); fi
done <<<"$MORE_ARGUMENTS"
exec bootgate "${arguments[@]}"
