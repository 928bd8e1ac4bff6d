#!/usr/bin/env bash
# What this host has for the gate, in a group of its own. What it lacks does not end the job here: the run says it with
# its class, and some of it (the output of a stage before, say) only the run knows.
set -euo pipefail

arguments=(doctor "$GATE" --runs "$RUNS")
if [[ -n $SCRATCH ]]; then arguments+=(--scratch "$SCRATCH"); fi
echo '::group::bootgate doctor'
bootgate "${arguments[@]}" || echo "bootgate doctor ended with $?"
echo '::endgroup::'
