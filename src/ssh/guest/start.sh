# NAME STAGE TICKET SIZE RUNNER BASE...: starts the command on standard input, once, in BASE/NAME/STAGE.
# A call that finds the command started already, by an earlier call whose answer was lost, says so.
name=$1 stage=$2 ticket=$3 size=$4 runner=$5
shift 5
umask 077
boot=$(cat /proc/sys/kernel/random/boot_id)
say() {
    printf 'bootgate-start %s\n' "$*"
}
for base; do
    root=$base/$name
    mkdir "$root" 2>/dev/null
    [ -d "$root" ] && [ ! -L "$root" ] && [ -w "$root" ] && break
    root=
done
[ -n "$root" ] || { say no-directory; exit 0; }
dir=$root/$stage
new=$dir.$ticket
fail() {
    rm -rf "$new"
    say "$@"
    exit 0
}
# Everything is prepared aside, at its full length, so that a full disk later can't keep the end from being told;
# renaming it into place is what makes the start happen once.
mkdir "$new" && cat >"$new/command" || fail write
got=$(($(wc -c <"$new/command")))
[ "$got" -eq "$size" ] || fail short "$got"
printf '%s\n' "$ticket" >"$new/ticket" && printf '%-47s\n' running >"$new/status" &&
    printf '%-15s\n' 0 >"$new/pid" && : >"$new/output" && : >"$new/go" && mkfifo "$new/end" || fail write
exec 9<>"$new/end"
[ -d "$dir" ] || mv "$new" "$dir" 2>/dev/null
read -r owner <"$dir/ticket" || fail write
if [ "$owner" != "$ticket" ]; then
    fail resumed "$boot" "$dir"
fi
# This shell becomes the runner: a background job would leave the command with SIGINT and SIGQUIT ignored.
say started "$boot" "$dir"
exec </dev/null >/dev/null 2>&1
if command -v setsid >/dev/null 2>&1; then
    exec setsid sh -c "$runner" bootgate "$dir"
fi
trap '' HUP
exec sh -c "$runner" bootgate "$dir"
