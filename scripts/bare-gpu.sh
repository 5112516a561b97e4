#!/usr/bin/env bash
# Tests and benchmarks on a machine that has a GPU and its driver, and neither Rust nor a network.
#
#   scripts/bare-gpu.sh pack        here: builds everything into bare-gpu.tar.xz (git ignores it)
#   scripts/bare-gpu.sh run [OUT]   there, in a copy of the repository with that file: results in OUT
#   scripts/bare-gpu.sh lease [OUT] there, measurements alone, in six minutes at most; predictions beside them in OUT/lease.md
#
# `pack` takes the Vulkan loader along where apt can fetch it; the others unpack it where there is none, as root.
# DOWNHILL_ADAPTER chooses the adapter there, as --adapter does. A python3 with torch and CUDA is timed too.
# BARE_GPU_QUICK=1 has `lease` measure small sizes alone, to try it anywhere; DOWNHILL=FILE has it use that program.
set -euo pipefail
cd "$(dirname "$0")/.."
PACK=bare-gpu

pack() {
    rm -rf "$PACK"
    mkdir -p "$PACK/tests" "$PACK/benches" "$PACK/packages"
    # The program first: the tests know it by its path, which `run` makes good there.
    cargo build --release
    cp "${CARGO_TARGET_DIR:-target}/release/downhill" "$PACK/"
    binaries() { # KIND DIR: the test or benchmark programs, by name
        cargo test --release --no-run --message-format=json "${@:3}" 2>/dev/null |
            sed -n "s/.*\"kind\":\[\"$1\"\].*\"name\":\"\([a-z_]*\)\".*\"executable\":\"\([^\"]*\)\".*/\1 \2/p" |
            while read -r name path; do cp "$path" "$PACK/$2/$name"; done
    }
    binaries lib tests --lib
    binaries test tests --tests
    binaries bench benches --benches
    strip "$PACK/downhill" "$PACK"/tests/* "$PACK"/benches/* 2>/dev/null || true
    pwd >"$PACK/root"
    # NVIDIA's Vulkan driver wants what OpenGL and X programs do, even without a screen.
    (cd "$PACK/packages" && apt-get download libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2 libx11-6 \
        libxext6 libxcb1 libxau6 libxdmcp6 libbsd0 libmd0) ||
        echo "bare-gpu: no libvulkan1 package could be fetched; the other machine needs a Vulkan loader" >&2
    tar -cJf "$PACK.tar.xz" "$PACK"
    rm -rf "$PACK"
    du -h "$PACK.tar.xz"
}

unpack() { # the programs, and a Vulkan loader where there is none
    tar -xf "$PACK.tar.xz"
    if ! "$PACK/downhill" adapters >/dev/null 2>&1; then
        for package in "$PACK"/packages/*.deb; do dpkg -x "$package" /; done
        ldconfig
    fi
}

run() {
    local out=${1:-bare-gpu-results} root failed=0
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    unpack
    # The tests were built to find their files, and the program, below the path they were built in.
    root=$(cat "$PACK/root")
    if [[ ! -e $root ]]; then
        mkdir -p "$(dirname "$root")"
        ln -s "$PWD" "$root"
    fi
    mkdir -p target/release
    cp "$PACK/downhill" target/release/
    export DOWNHILL_ADAPTER=${DOWNHILL_ADAPTER:-auto}
    # What follows says little where a kernel is wrong.
    "$PACK/downhill" doctor --all --adapter "$DOWNHILL_ADAPTER" | tee "$out/doctor.txt" || failed=1
    "$PACK/downhill" adapters | tee "$out/adapters.txt"
    "$PACK/downhill" train examples/digits.toml --adapter "$DOWNHILL_ADAPTER" --out "$out/digits" | tee "$out/train.txt"
    # Four at a time: much of a test is the compiling of kernels, on one thread.
    for test in "$PACK"/tests/*; do echo "$(basename "$test")"; done |
        xargs -P 4 -I NAME sh -c 'timeout 300 '"$PACK"'/tests/NAME --color never >'"$out"'/test-NAME.txt 2>&1 ||
            echo "NAME left with code $?" >>'"$out"'/test-NAME.txt'
    for test in "$out"/test-*.txt; do
        echo "$(basename "$test" .txt): $(grep -E "^test result" "$test" || true)"
        if grep -qE "left with code" "$test"; then
            failed=1
            grep -E "FAILED|panicked|left with" -A 4 "$test" | head -60
        fi
    done
    echo "== killed eighty times"
    timeout 300 "$PACK/tests/cli" --ignored so_does_one --nocapture 2>&1 | tee "$out/kill.txt" | grep -E "kills|^test " || failed=1
    echo "== 200,000 steps"
    DOWNHILL=$PWD/$PACK/downhill benches/soak.sh | tee "$out/soak.txt" || failed=1
    for bench in train_step first_step; do
        echo "== $bench"
        "$PACK/benches/$bench" --bench 2>/dev/null | tee "$out/bench-$bench.txt" | grep -v -E "Benchmarking|^$"
    done
    python3 benches/pytorch.py | tee "$out/bench-pytorch.txt" || echo "bare-gpu: no PyTorch to compare with"
    for bench in launch train matmul optim; do
        echo "== downhill bench $bench"
        "$PACK/downhill" bench $bench --adapter "$DOWNHILL_ADAPTER" --svg "$out/$bench.svg" | tee "$out/$bench.md"
    done
    "$PACK/downhill" bench atlas --adapter "$DOWNHILL_ADAPTER" --out "$out/atlas.json" | tee "$out/atlas.md"
    return "$failed"
}

# Seconds of a lease, from the first step on. What is not begun by then is left out.
LEASE_SECONDS=350

block() { # NAME SECONDS FILE COMMAND..: writes what COMMAND prints into OUT/FILE, within its limit and the lease's
    local name=$1 limit=$2 file=$out/$3 left=$((LEASE_SECONDS - SECONDS)) begun=$SECONDS code=0
    local end=complete why
    if ((left < limit)); then limit=$left; fi
    if ((limit > 0)); then
        # The signal goes to PyTorch's process too.
        timeout -k 5 "$limit" "${@:4}" >"$file" 2>"$file.err" </dev/null || code=$?
        case $code in
        0) ;;
        124 | 137) end="stopped after $limit s" ;;
        *)
            why=$(grep . "$file.err" | tail -n 1 | tr '\t|' '  ')
            end="exit code $code${why:+: $why}"
            ;;
        esac
    else
        code=1 end="left out: the lease's $LEASE_SECONDS s are over"
    fi
    [[ -s $file.err ]] || rm -f "$file.err"
    printf '%s\t%s\t%s\n' "$name" "$((SECONDS - begun))" "$end" >>"$out/blocks.tsv"
    echo "$name: $((SECONDS - begun)) s, $end"
    ((code == 0)) || failed=1
    # After each block, so that a lease that is cut short has its table.
    if command -v python3 >/dev/null; then python3 scripts/lease-table.py "$out" || failed=1; fi
    return "$code"
}

lease() {
    local out=${1:-bare-gpu-results} program=${DOWNHILL:-$PACK/downhill} failed=0 nets config kind
    local quick=() torch=() all=64-64-64-10,784-256-256-10,784-512-512-10,lenet,gpt one=gpt
    local filter=() sides=256,512,1024,2048,4096 side=1024 sizes=64Ki,1Mi,16Mi,64Mi
    if [[ ${BARE_GPU_QUICK:-0} != 0 ]]; then
        quick=(--quick) all=64-64-64-10,lenet one=64-64-64-10 sides=64,128 side=128 sizes=1Ki,64Ki
        filter=("$one")
    fi
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    # The table has figures of this lease alone.
    rm -f "$out"/{blocks.tsv,clocks.csv,lease.md,nvidia-smi.txt,train_step.txt,pytorch.txt} "$out"/explain-*.json \
        "$out"/{adapters,launch,train,matmul,optim,atlas}.json "$out"/{train,matmul}-{checked,unchecked}.json
    [[ -n ${DOWNHILL:-} ]] || unpack
    export DOWNHILL_ADAPTER=${DOWNHILL_ADAPTER:-auto}
    bench() { # NAME SECONDS FILE BENCH ARGUMENTS..
        block "$1" "$2" "$3" "$program" bench "$4" --adapter "$DOWNHILL_ADAPTER" "${quick[@]}" "${@:5}" || true
        # The clocks right after the work: an idle card lowers them.
        if command -v nvidia-smi >/dev/null; then
            timeout 5 nvidia-smi --query-gpu=clocks.sm,clocks.mem,power.draw --format=csv,noheader,nounits 2>/dev/null |
                head -n 1 | sed "s/^/$1, /" >>"$out/clocks.csv" || true
        fi
    }

    if ! block "doctor --all" 60 doctor.txt "$program" doctor --all --adapter "$DOWNHILL_ADAPTER"; then
        tail -n 40 "$out"/doctor.txt* >&2
        # Figures of wrong kernels are worth nothing. One that was only slow is no such reason.
        if [[ $(tail -n 1 "$out/blocks.tsv") != *stopped* ]]; then
            echo "bare-gpu: a kernel is wrong on this adapter, or there is none: nothing was measured" >&2
            return 1
        fi
    fi
    block "M0 adapters" 10 adapters.json "$program" adapters --json --adapter "$DOWNHILL_ADAPTER" || true
    if command -v nvidia-smi >/dev/null; then
        block "M0 nvidia-smi" 10 nvidia-smi.txt nvidia-smi -q -d CLOCK,POWER,TEMPERATURE || true
    fi
    bench "M1 launch" 25 launch.json launch --json

    # The predictions of explain, which needs no adapter, and a first import of torch, which is slow, before it is timed.
    if command -v python3 >/dev/null; then
        nets=$(mktemp -d)
        python3 scripts/lease-nets.py "$nets"
        for config in "$nets"/*.toml; do
            block "M2 explain $(basename "$config" .toml)" 10 "explain-$(basename "$config" .toml).json" \
                "$program" explain --target gpu --json "$config" || true
        done
        rm -r "$nets"
        if timeout 40 python3 -c 'import torch; torch.zeros(1, device="cuda")' >/dev/null 2>&1; then
            torch=(--python python3)
        else
            echo "bare-gpu: no PyTorch with CUDA to compare with"
        fi
    fi
    bench "M2 train" 80 train.json train --json --nets "$all" "${torch[@]}"
    bench "M3 matmul" 90 matmul.json matmul --json --sizes "$sides" "${torch[@]}"
    for kind in checked unchecked; do
        local option=()
        [[ $kind == checked ]] || option=(--unchecked-buffers)
        bench "M4 matmul $kind" 15 "matmul-$kind.json" matmul --json --sizes "$side" "${option[@]}"
        bench "M4 train $kind" 15 "train-$kind.json" train --json --nets "$one" "${option[@]}"
    done
    if [[ -z ${DOWNHILL:-} && -x $PACK/benches/train_step ]]; then
        # Criterion's usual eight seconds a net would be most of the block.
        block "M5 train_step" 60 train_step.txt \
            "$PACK/benches/train_step" --bench --noplot --warm-up-time 1 --measurement-time 3 "${filter[@]}" || true
        ((${#torch[@]} == 0)) || block "M5 pytorch.py" 30 pytorch.txt python3 benches/pytorch.py || true
    else
        echo "M5: there is no packed train_step; nothing was measured"
    fi
    bench "M6 optim" 60 optim.json optim --json --optimizers adamw --sizes "$sizes" --tensors 1 "${torch[@]}"
    echo "M7 (replicas) is not built yet: nothing was measured"
    echo "M8 (cooperative matrices) is not built yet: nothing was measured"
    bench "atlas" 90 atlas.md atlas --out "$out/atlas.json"
    if command -v python3 >/dev/null; then
        cat "$out/lease.md"
    else
        echo "bare-gpu: there is no python3, so the table was not made; the JSON is in $out" >&2
    fi
    return "$failed"
}

case ${1:-} in
pack) pack ;;
run) run "${2:-}" ;;
lease) lease "${2:-}" ;;
*) sed -n '2,11s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
