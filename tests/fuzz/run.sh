#!/bin/sh
# Runs fuzz targets: run.sh [RUNS [TARGET [FOLDER…]]]. Without a target, all of them one after another; folders hold
# further files to begin with. Needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`.
#
# Each target gets RUNS inputs (100000), ten seconds and 1 GiB for any of them, and a stack as small as that of a page.
# What it finds lies in target/fuzz/found, what it said in target/fuzz/log. The exit code is 1 if it found anything.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 2
runs=${1:-100000}
[ $# -gt 0 ] && shift
only=${1:-}
[ $# -gt 0 ] && shift

out=$(cd "$here/../.." && pwd)/target/fuzz
build=${CARGO_TARGET_DIR:-$out}
mkdir -p "$out/found" "$out/log" "$build"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo +nightly fuzz build --fuzz-dir "$here" --target-dir "$build" --sanitizer none ${only:+"$only"} || exit 2

# A page's stack, in KiB.
ulimit -s 1024

# Longest input: above it a format shows nothing new.
max_len() {
    case $1 in
        extract_pdf | extract_docx | extract_epub | archive | model) echo 16384 ;;
        *) echo 4096 ;;
    esac
}

failed=0
for target in ${only:-$(ls "$here/targets" | sed 's/\.rs$//')}; do
    corpus=$out/corpus/$target
    log=$out/log/$target
    mkdir -p "$corpus"
    dictionary=$here/dict/$target.dict
    [ -f "$dictionary" ] || dictionary=
    start=$(date +%s)
    "$build/$host/release/$target" -runs="$runs" -max_len="$(max_len "$target")" -timeout=10 -rss_limit_mb=1024 \
        -report_slow_units=2 -print_final_stats=1 -artifact_prefix="$out/found/$target-" ${dictionary:+"-dict=$dictionary"} \
        "$corpus" "$here/seeds/$target" "$@" >"$log" 2>&1
    code=$?
    stat() { sed -n "s/^stat::$1: *//p" "$log"; }
    [ $code -eq 0 ] && verdict=ok || { verdict="FOUND, see $log"; failed=1; }
    echo "$target: $(stat number_of_executed_units) runs, $(($(date +%s) - start)) s, $(stat peak_rss_mb) MB: $verdict"
done
exit $failed
