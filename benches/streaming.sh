#!/usr/bin/env bash
# Streamed against resident, by the program as a user runs it: samples/s, how long the device waited for data, the peak of
# the device's memory, and the peak of the host's beyond the page cache (RssAnon and RssShmem, which on a software adapter
# hold the device's memory as well).
#
#   benches/streaming.sh [IMAGES] [ROUNDS]     made images for the comparison (171000, 128 MiB), rounds of it (3)
#   benches/streaming.sh --large [GIB] [STEPS] steps (4000) on a data set of so many GiB (3) in 256 MiB of the device
#
# Rounds alternate, so that a slow minute of the machine meets all of them; medians are over the epochs of all rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet
bin=$PWD/target/release/downhill
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

config() { # FOLDER
    cat >"$work/net.toml" <<TOML
[data]
source = { idx = "$1" }
batch_size = 128
[model]
layers = ["flatten", { linear = 64 }, "relu", { linear = 10 }]
loss = "cross_entropy"
[optimizer]
name = "adamw"
[train]
epochs = 2
TOML
}

# Runs a training, and samples its memory while it goes. Prints: peak kB of the host, then the run's own lines.
run() { # OUT ARGUMENTS..
    local out=$1 peak=0 now
    shift
    "$bin" train "$work/net.toml" --out "$out" "$@" >"$out.log" 2>&1 &
    local pid=$!
    while kill -0 $pid 2>/dev/null; do
        now=$(awk '/^Rss(Anon|Shmem):/ { sum += $2 } END { print sum + 0 }' /proc/$pid/status 2>/dev/null || echo 0)
        if ((now > peak)); then peak=$now; fi
        sleep 0.2
    done
    wait $pid
    echo "$peak" >"$out.host"
}

median() { sort -g | awk '{ all[NR] = $1 } END { print NR ? all[int((NR + 1) / 2)] : "-" }'; }
field() { # NAME FILES.. : the values of a key in the epochs of runs
    local name=$1
    shift
    cat "$@" | grep '"event":"epoch"' | grep -o "\"$name\":[0-9.e-]*" | cut -d: -f2 || true
}
device() { sed -n 's/^model .*, \([0-9.]* [KMG]*i*B\) on the device.*/\1/p' "$1.log"; }
host() { awk '{ printf "%.0f MiB", $1 / 1024 }' "$1.host"; }

if [[ ${1:-} == --large ]]; then
    gib=${2:-3}
    count=$((gib * 1024 * 1024 * 1024 / 785))
    echo "made: $count images of 28x28, $gib GiB; budget 256 MiB"
    "$bin" data synth digits28 --count "$count" --out "$work/large" >/dev/null
    config "$work/large"
    run "$work/large-run" --memory 256MiB --steps "${3:-4000}"
    grep -E '^(memory|model|done)' "$work/large-run.log"
    echo "samples/s $(field samples_per_second "$work/large-run/metrics.jsonl"), data wait" \
        "$(field data_wait "$work/large-run/metrics.jsonl"), host $(host "$work/large-run")"
    exit
fi

count=${1:-171000}
rounds=${2:-3}
"$bin" data synth digits28 --count "$count" --out "$work/data" >/dev/null
config "$work/data"
bytes=$((count * 785))
budget=$((bytes / 16))
for ((round = 0; round < rounds; round++)); do
    run "$work/resident-$round" --set data.residence=resident
    for workers in 1 2 4; do
        run "$work/streamed$workers-$round" --set data.residence=streamed --set data.workers=$workers
    done
    run "$work/budget-$round" --memory $budget
done
printf '%-22s %12s %10s %12s %10s\n' "$count images" samples/s wait device host
for kind in resident streamed1 streamed2 streamed4 budget; do
    files=("$work/$kind"-*/metrics.jsonl)
    speed=$(field samples_per_second "${files[@]}" | median)
    wait=$(field data_wait "${files[@]}" | median)
    printf '%-22s %12.0f %10s %12s %10s\n' "$kind" "$speed" \
        "$(awk -v w="$wait" 'BEGIN { if (w == "-") print "-"; else printf "%.2f%%", 100 * w }')" \
        "$(device "$work/$kind-0")" "$(host "$work/$kind-0")"
done
echo "budget: a sixteenth of the images, $budget B"
cmp "$work/resident-0/model.safetensors" "$work/streamed4-0/model.safetensors" && echo "equal weights, resident and streamed"
