# DIR: runs the command and writes down how it ended. Holds the write end of the pipe DIR/end on descriptor 9 until
# then, so that a reader of the pipe is woken at the end, however it came.
dir=$1
trap : HUP INT QUIT TERM
set --
command -v setsid >/dev/null 2>&1 && set -- setsid
# The child redirects for itself: a shell writes "Killed" to where the output of its killed child went.
"$@" sh -c '
    exec </dev/null >>"$1/output" 2>&1 9>&-
    printf "%-15s\n" $$ 1<>"$1/pid"
    [ -e "$1/go" ] || kill -TERM $$
    exec sh -c "$(cat "$1/command")"
' bootgate "$dir"
printf '%-47s\n' "exited $? $(($(wc -c <"$dir/output")))" 1<>"$dir/status"
