# The ledger of a host, for any POSIX shell; docs/decisions/0008-ledger.md says what stands where, and why.
# $1 claim, record, ask (which waits for what is going on) or look   $2 the release root, or nothing
# $3 the folder below ~/.orchestrator-release   $4 fence   $5 run   $6 step   $7 host   $8 attempt   $9 digest
verb=$1 root=$2 home=${HOME:-}/.orchestrator-release/$3 fence=$4 run=$5
entry="{\"run\": \"$5\", \"step\": \"$6\", \"host\": \"$7\", \"part\": \"\", \"attempt\": $8, \"fence\": $4, \"digest\": \"$9\""
own=${root:+$root/.orchestrator} place=$home
if test -n "$root" && test -d "$root"; then
  if test -d "$own"; then test ! -w "$own" || place=$own; elif test -w "$root"; then place=$own; fi
fi
newest=0
newer() { # whether $1 is a higher number than $2; both have 15 digits at most, and some shells count to 2^31 only
  a=000000000000000$1 b=000000000000000$2
  a=${a#"${a%???????????????}"} b=${b#"${b%???????????????}"}
  c=1${a%???????} d=1${b%???????}
  if test "$c" -eq "$d"; then c=1${a#????????} d=1${b#????????}; fi
  test "$c" -gt "$d"
}
consider() {
  case $1 in '' | *[!0-9]* | ????????????????*) return 1 ;; esac
  if newer "$1" "$newest"; then newest=$1; fi
}
see() { # only where the file of the fence is no number, the other files are searched: most hosts start no program for this
  test -d "$1" || return 0
  known=
  if test -r "$1/fence"; then { read -r known && ! read -r more && test -z "$more"; } <"$1/fence" || known=; fi
  if consider "$known"; then return 0; fi
  known=
  for file in "$1/ledger.jsonl" "$1/state.json"; do
    test -r "$file" || continue
    for number in $(sed -n 's/^.*"fence": \([0-9]\{1,15\}\)\([^0-9].*\)\{0,1\}$/\1/p' "$file"); do consider "$number" || :; done
  done
}
see_all() {
  if test -n "$own"; then see "$own"; fi
  if test "$own" != "$home"; then see "$home"; fi
}
wait_for() {
  if test -e "$1" && test -r "$1" && command -v flock >/dev/null 2>&1; then exec 8<"$1"; flock 8; fi
}
broken() { echo "refused: the ledger in $place cannot be written${1:+: $1}"; exit 74; }
put() { printf '%s\n' "$2" 2>/dev/null >"$place/.new-$$" && mv -f "$place/.new-$$" "$place/$1" || broken "$1"; }
append() {
  kept=
  if test -s "$place/ledger.jsonl"; then kept=$(sed -n '/^{.*}$/p' "$place/ledger.jsonl" | tail -n 499); fi
  line="$entry, \"outcome\": \"$1\", \"at\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}"
  put ledger.jsonl "$kept${kept:+
}$line"
}
if test "$verb" = ask; then test -z "$own" || wait_for "$own/lock"; fi
if test "$verb" = ask || test "$verb" = look; then
  see_all
  echo "@fence $newest"
  only=
  test "$verb" = look || only='"part": "",'
  grep -h -F "{\"run\": \"$run\"," ${own:+"$own/ledger.jsonl"} "$home/ledger.jsonl" 2>/dev/null |
    grep -F "$only" | tail -n 200 | sed 's/^/@ledger /'
  exit 0
fi
{ test -d "$place" || mkdir -p "$place"; } 2>/dev/null || broken
{ true >>"$place/lock"; } 2>/dev/null || broken
if test -n "$own" && test "$own" != "$place"; then wait_for "$own/lock"; fi
if command -v flock >/dev/null 2>&1; then
  exec 9>>"$place/lock"
  flock 9
  for left in "$place"/.new-*; do test ! -e "$left" || rm -f "$left"; done
fi
see_all
case $fence in ????????????????*) echo "refused: fence $fence has more than 15 digits"; exit 75 ;; esac
if newer "$fence" 0 && newer "$newest" "$fence"; then
  echo "refused: fence $fence is older than $newest, which this host has seen"
  exit 75
fi
if test "$verb" = record; then append "done"; exit 0; fi
known=
if test -r "$place/fence"; then read -r known <"$place/fence"; fi
test "$known" = "$fence" || put fence "$fence"
append began
