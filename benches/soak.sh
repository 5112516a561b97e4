#!/usr/bin/env bash
# A long run does not grow: memory of the host and of the device while a small net is trained for many steps, by the
# program as a user runs it, with a checkpoint every 1,000 steps and an evaluation every epoch.
#
#   benches/soak.sh [STEPS]     200000 unless said otherwise; DOWNHILL_ADAPTER chooses the adapter
#
# The host's memory is RssAnon and RssShmem, which on a software adapter hold the device's as well; the device's is what
# nvidia-smi says of the process, where there is such a program. Exit code 1 where either has grown by more than 4 MiB
# between the first tenth of the run and its end.
set -euo pipefail
cd "$(dirname "$0")/.."
steps=${1:-200000}
bin=${DOWNHILL:-$PWD/target/release/downhill}
[[ -x $bin ]] || cargo build --release --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

host() { awk '/^Rss(Anon|Shmem):/ { sum += $2 } END { print sum + 0 }' "/proc/$1/status" 2>/dev/null || echo 0; }
device() { # of the process, or the whole card where processes are not told apart
    command -v nvidia-smi >/dev/null || { echo 0; return; }
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | awk '{ sum += $1 * 1024 } END { print sum + 0 }'
}
done_steps() { tail -n 1 "$work/run/metrics.jsonl" 2>/dev/null | grep -o '"step":[0-9]*' | cut -d: -f2 || true; }

start=$(date +%s)
"$bin" train examples/digits.toml --adapter "${DOWNHILL_ADAPTER:-auto}" --steps "$steps" --out "$work/run" \
    --set checkpoint.every_steps=1000 >"$work/log" 2>&1 &
pid=$!
while kill -0 $pid 2>/dev/null; do
    at=$(done_steps)
    if [[ -n $at ]]; then echo "$at $(host $pid) $(device)" >>"$work/memory"; fi
    sleep 0.5
done
wait $pid || { cat "$work/log" && exit 1; }
grep -E '^(adapter|model|done)' "$work/log"
echo "$(($(date +%s) - start)) s for $steps steps, $(ls "$work/run/checkpoints" | wc -l) checkpoints left, metrics.jsonl \
$(du -h "$work/run/metrics.jsonl" | cut -f1)"
# The last sample may have met a process on its way out.
awk -v steps="$steps" '
    $2 == 0 { next }
    $1 < steps / 10 { next }
    !early { early = $2; early_device = $3; early_at = $1 }
    { late = $2; late_device = $3; late_at = $1; if ($2 > most) most = $2 }
    END {
        printf "host    %.1f MiB after %d steps, %.1f after %d, %.1f at most\n", early / 1024, early_at, late / 1024, late_at, most / 1024
        if (late_device) printf "device  %.1f MiB after %d steps, %.1f after %d\n", early_device / 1024, early_at, late_device / 1024, late_at
        grown = late - early > 4096 || late_device - early_device > 4096
        print grown ? "GROWN" : "flat"
        exit grown
    }' "$work/memory"
