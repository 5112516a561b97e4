#!/usr/bin/env bash
# Runs a test or a benchmark of the page, target/site, in headless Chromium.
#
#   scripts/web-test.sh web/test.mjs
#   scripts/web-test.sh web/bench.mjs
#
# Needs node and a Chromium, which scripts/setup-chromium.sh installs. Packages of npm are put into a folder of the user's
# cache, outside of the project.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v node >/dev/null || { echo "web-test: node is missing: apt-get install nodejs npm" >&2; exit 1; }
bash scripts/setup-chromium.sh
if [[ $1 == web/bench.mjs ]]; then
    export DOWNHILL_NODE_MODULES=${XDG_CACHE_HOME:-$HOME/.cache}/downhill/web
    mkdir -p "$DOWNHILL_NODE_MODULES"
    npm install --silent --no-audit --no-fund --prefix "$DOWNHILL_NODE_MODULES" @jax-js/jax@0.1.25
fi
exec node "$@"
