#!/usr/bin/env bash
# Makes the Python environment of the tests, target/python, and prints its Python.
#
#   DOWNHILL_ONNX_PYTHON=$(scripts/setup-python.sh) make test
#
# PYTHON names the Python that it is made of; python3 without it. It needs the network the first time.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=${CARGO_TARGET_DIR:-target}/python
if [ ! -x "$environment/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$environment" >&2
fi
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    'maturin>=1.9,<2' numpy onnx onnxruntime pandas pytest safetensors 'scikit-learn>=1.6' >&2
echo "$(cd "$environment" && pwd)/bin/python"
