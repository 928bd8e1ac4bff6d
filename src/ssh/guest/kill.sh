# DIR GRACE: ends the command and all of its process group: SIGTERM, after GRACE seconds SIGKILL.
dir=$1 grace=$2
say() {
    printf 'bootgate-kill %s\n' "$*"
}
[ -p "$dir/end" ] || { say gone; exit 0; }
exec 8<>"$dir/end" 7<"$dir/end" 8>&-
# A command that is about to start writes its number down and looks for this file then; here it is the other way round.
# So whoever comes second sees the other. The file is taken away, not made: that works on a full disk, too.
rm -f "$dir/go"
# In one piece: a shell reads byte by byte, and what it reads may change meanwhile.
set -- $(cat "$dir/status")
[ "$1" = running ] || { say ended; exit 0; }
pid=$(($(cat "$dir/pid")))
target=$pid
# Written like this because dash takes no negative number behind -s TERM without --, and busybox takes no -- at all.
kill -0 "-$pid" 2>/dev/null && target=-$pid
# What sudo has started is another user's; who could start it without a password can end it the same way. A command
# without a number ends by itself.
send() {
    [ "$pid" -ne 0 ] || return 0
    kill "-$1" "$target"
    [ "$(id -u)" -eq 0 ] || sudo -n kill "-$1" "$target"
}
send TERM >/dev/null 2>&1
{
    sleep "$grace"
    send KILL
} </dev/null >/dev/null 2>&1 7<&- &
read -r _ <&7
kill $! 2>/dev/null
send KILL >/dev/null 2>&1
say ended
