# DIR BOOT FIRST HOW: writes the command's output to standard output from byte number FIRST (the first is 1), behind a line
# of its own, until the command has ended, and what became of it to standard error. When it ended while we looked on,
# some bytes may be missing at the end; a second call, with HOW being drain instead of follow, brings them.
dir=$1 boot=$2 first=$3 how=$4
say() {
    printf 'bootgate-follow %s\n' "$*" >&2
}
# In one piece: a shell reads byte by byte, and half of what was there with half of what is would be another status.
look() {
    set -- $(cat "$dir/status")
    state=$1 status=$2 size=$3
}
now=$(cat /proc/sys/kernel/random/boot_id)
[ "$now" = "$boot" ] || { say rebooted "$now"; exit 0; }
[ -p "$dir/end" ] || { say gone; exit 0; }
# Opened for both first: opening a pipe only to read blocks if nobody holds its other end any more.
exec 8<>"$dir/end" 7<"$dir/end" 8>&-
printf 'bootgate-output\n'
look
if [ "$state $how" = 'running follow' ]; then
    tail -c "+$first" -f "$dir/output" 2>/dev/null 7<&- &
    read -r _ <&7
    kill $! 2>/dev/null
    wait $! 2>/dev/null
    look
else
    tail -c "+$first" "$dir/output"
fi
say "$state" "${status:--}" "${size:-$(($(wc -c <"$dir/output")))}"
