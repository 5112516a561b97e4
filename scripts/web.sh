#!/usr/bin/env bash
# Builds the page in which the engine trains: static files in target/site.
#
#   scripts/web.sh
#
# Compiles with rustup's target wasm32-unknown-unknown where it is installed or can be added. Where it cannot, on Debian, with
# the packages rustc-web and rust-web-src, which compile the standard library too; as root they are installed. wasm-opt is
# not run: it makes the engine 4% smaller, and a little larger once it is gzipped, as servers send it.
set -euo pipefail
cd "$(dirname "$0")/.."

TARGET=wasm32-unknown-unknown
target_dir=${CARGO_TARGET_DIR:-target}
site=$target_dir/site
build=$target_dir/web

say() { echo "web: $*" >&2; }
fail() { say "$*"; exit 1; }

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# Prints the linker for wasm of rustup's own toolchain, or a linker of the system.
linker() {
    local root
    for rustc in "$(command -v rustc || true)" "${CARGO_HOME:-$HOME/.cargo}/bin/rustc"; do
        [[ -x $rustc ]] || continue
        root=$("$rustc" --print sysroot 2>/dev/null) || continue
        compgen -G "$root/lib/rustlib/*/bin/rust-lld" | head -1
    done | head -1 | grep . || command -v rust-lld || command -v wasm-ld
}

compile() {
    local flags=(build --package downhill-web --profile web --locked --target "$TARGET" --target-dir "$build")
    local sysroot
    sysroot=$(rustc --print sysroot)
    if [[ -d $sysroot/lib/rustlib/$TARGET ]] || { command -v rustup >/dev/null && rustup target add "$TARGET" >&2; }; then
        cargo "${flags[@]}"
        return
    fi
    say "rustup has no $TARGET: compiling the standard library with Debian's rustc-web"
    if ! [[ -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml ]]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y rustc-web rust-web-src >&2 ||
            fail "add the target with: rustup target add $TARGET (or install rustc-web and rust-web-src)"
    fi
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(linker || fail "no linker for wasm: install lld") \
        cargo "${flags[@]}" -Z build-std=std,panic_abort
}

# Builds the program that makes a page's module, once for each version of wasm-bindgen.
bind() {
    local version folder=$build/bind
    version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    mkdir -p "$folder/src"
    cp web/bind/main.rs "$folder/src/main.rs"
    cat > "$folder/Cargo.toml" <<END
[package]
name = "bind"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
wasm-bindgen-cli-support = "=$version"
END
    cargo build --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target"
    "$folder/target/debug/bind" "$build/$TARGET/web/downhill_web.wasm" "$site/pkg"
}

# Prints the names of a folder's files and their bytes, also as a server sends them.
sizes() {
    local engine=$site/pkg/downhill_web_bg.wasm
    say "engine: $(wc -c < "$engine") bytes, $(gzip -9 -c "$engine" | wc -c) gzipped"
}

compile
rm -rf "$site"
mkdir -p "$site"
cp web/page/* "$site"
bind
cat README.md docs/guide/*.md > "$site/guide.txt"
sizes
say "the page is $site: python3 -m http.server --directory $site, then open http://localhost:8000"
