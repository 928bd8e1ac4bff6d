# PATH MODE SIZE SHA256: stores standard input as PATH, or nothing at all.
path=$1 mode=$2 size=$3 sum=$4
umask 077
new=$path.bootgate.$$
say() {
    printf 'bootgate-upload %s\n' "$*"
}
fail() {
    rm -f "$new"
    say "$@"
    exit 0
}
[ ! -d "$path" ] || fail directory
mkdir -p "${path%/*}/" || fail write
cat >"$new" || fail write
got=$(($(wc -c <"$new")))
[ "$got" -eq "$size" ] || fail short "$got"
verified=size
if command -v sha256sum >/dev/null 2>&1; then
    got=$(sha256sum <"$new")
    [ "${got%% *}" = "$sum" ] || fail digest "${got%% *}"
    verified=digest
fi
chmod "$mode" "$new" && mv -f "$new" "$path" || fail write
say stored "$verified"
