# DIR: runs the command and writes down how it ended. Holds the write end of the pipe DIR/end on descriptor 9 until
# then, so that a reader of the pipe is woken at the end, however it came.
dir=$1
trap : HUP INT QUIT TERM
set --
command -v setsid >/dev/null 2>&1 && set -- setsid
"$@" sh -c 'printf "%-15s\n" $$ 1<>"$1/pid"; exec sh -c "$(cat "$1/command")"' bootgate "$dir" \
    </dev/null >>"$dir/output" 2>&1 9>&-
printf '%-47s\n' "exited $? $(($(wc -c <"$dir/output")))" 1<>"$dir/status"
