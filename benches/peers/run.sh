#!/usr/bin/env bash
# Builds downhill's, Burn's and PyTorch's training steps, times them in turn and prints the tables: see README.md.
#
#   benches/peers/run.sh [options of measure.py]
#
# PEERS_PYTHON is a Python with torch (python3 unless said). DOWNHILL_ADAPTER chooses downhill's adapter.
set -euo pipefail
cd "$(dirname "$0")"
python=${PEERS_PYTHON:-python3}

# The program of a bench of the crate above.
ours=$(cd ../.. && cargo bench --bench train_step --no-run --message-format=json |
    sed -n 's/.*"name":"train_step".*"executable":"\([^"]*\)".*/\1/p')
[[ -n $ours ]] || { echo "run.sh: cargo names no program for the bench train_step" >&2; exit 1; }

variant() { # NAME FEATURES: one build of Burn, kept beside the others
    cargo build --release --no-default-features --features "$2"
    cp target/release/burn-step "target/burn-$1"
}
variant plain ""
variant fusion fusion

results=target/results/results.jsonl
rm -rf target/results
"$python" measure.py --out "$results" "$@" \
    --engine "$(printf '%q --bench --peer' "$ours")" \
    --engine "$(printf '%q' "$PWD/target/burn-plain")" \
    --engine "$(printf '%q' "$PWD/target/burn-fusion")" \
    --engine "$(printf '%q %q' "$python" "$PWD/torch_step.py")"
"$python" table.py "$results"
