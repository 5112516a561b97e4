#!/usr/bin/env bash
# Tests and benchmarks on a machine that has a GPU and its driver, and neither Rust nor a network.
#
#   scripts/bare-gpu.sh pack        here: builds everything into bare-gpu.tar.xz (git ignores it)
#   scripts/bare-gpu.sh run [OUT]   there, in a copy of the repository with that file: results in OUT
#
# `pack` takes the Vulkan loader along where apt can fetch it; `run` unpacks it where there is none, as root.
# DOWNHILL_ADAPTER chooses the adapter there, as --adapter does. A python3 with torch and CUDA is timed too.
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

run() {
    local out=${1:-bare-gpu-results} root failed=0
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    tar -xf "$PACK.tar.xz"
    if ! "$PACK/downhill" adapters >/dev/null 2>&1; then
        for package in "$PACK"/packages/*.deb; do dpkg -x "$package" /; done
        ldconfig
    fi
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

case ${1:-} in
pack) pack ;;
run) run "${2:-}" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
