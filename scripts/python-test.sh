#!/usr/bin/env bash
# Builds the Python package in the tests' profile, installs it into an environment of its own, and runs its tests there.
# What the tests of Rust have compiled is used again where they ran with MEMBERS="-p downhill -p downhill-python".
# Usage: scripts/python-test.sh [ARGUMENTS OF PYTEST]
# PYTHON names the Python, python3 without it; the environment is target/python.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
python=$(bash scripts/setup-python.sh)
environment=$(dirname "$(dirname "$python")")
rm -rf "$target/wheels"
"$environment/bin/maturin" build --quiet --manifest-path python/Cargo.toml --profile quick --out "$target/wheels"
"$python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$target"/wheels/downhill-*.whl
"$environment/bin/downhill" --version
"$python" -m pytest -q -p no:cacheprovider python/tests "$@"
