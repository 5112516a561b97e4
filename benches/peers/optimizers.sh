#!/usr/bin/env bash
# Builds downhill and other libraries, times the updates of their optimizers in turn and prints one table: see README.md.
#
#   benches/peers/optimizers.sh [--quick] [--python PYTHON] [--libraries torch,burn,candle] [--candle-cuda]
#       [--table FILE] [options of optimizers.py, as --optimizers adamw,momentum --sizes 1Mi --tensors 1,1000 --out FILE]
#
# DOWNHILL_ADAPTER chooses downhill's adapter, CUBECL_WGPU_DEFAULT_DEVICE Burn's.
set -euo pipefail

python=${PEERS_PYTHON:-python3} libraries=torch,burn,candle cuda="" table="" out="" options=()
while (($#)); do
    case $1 in
    --python) python=${2:?"--python needs a program"} && shift ;;
    --libraries) libraries=${2:?"--libraries needs some of torch,burn,candle"} && shift ;;
    --candle-cuda) cuda=cuda ;;
    --table) table=$(realpath -m "${2:?"--table needs a file"}") && shift ;;
    --out) out=$(realpath -m "${2:?"--out needs a file"}") && shift ;;
    *) options+=("$1") ;;
    esac
    shift
done
for library in ${libraries//,/ }; do
    [[ $library =~ ^(torch|burn|candle)$ ]] || { echo "optimizers.sh: no library $library; there are torch,burn,candle" >&2; exit 1; }
done
cd "$(dirname "$0")"
out=${out:-$PWD/target/results/optimizers.jsonl}

wanted() { [[ ,$libraries, == *,$1,* ]]; }
engine() { options+=(--engine "$(printf '%q ' "$@")"); }

(cd ../.. && cargo build --release --bin downhill)
ours=$(cd ../.. && cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/release/downhill

if wanted burn; then
    for variant in "" fusion; do # one build of Burn, kept beside the other
        cargo build --release --no-default-features --features "$variant" --bin burn-updates
        cp target/release/burn-updates "target/burn-updates-${variant:-plain}"
        engine "$PWD/target/burn-updates-${variant:-plain}"
    done
fi
if wanted candle; then
    cargo build --release --manifest-path candle/Cargo.toml --features "$cuda"
    engine "$PWD/candle/target/release/candle-updates"
fi
if wanted torch; then
    devices=$("$python" -c 'import torch; print("cpu", *["cuda"] * torch.cuda.is_available())')
    for device in $devices; do
        for way in fused foreach single; do
            engine "$python" "$PWD/torch_updates.py" --way "$way" --device "$device"
        done
    done
fi

status=0
"$python" optimizers.py --ours "$ours" --out "$out" "${options[@]}" || status=$?
"$python" optimizers_table.py "$out" | tee ${table:+"$table"}
echo "The numbers behind it: $out" >&2
exit "$status"
