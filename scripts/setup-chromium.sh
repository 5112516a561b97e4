#!/usr/bin/env bash
# Makes sure that a browser is there for tests/browser.rs, and installs Debian's Chromium where none is.
#
#   scripts/setup-chromium.sh
#
# Asks nothing, and does nothing where a browser is there: that of DOWNHILL_CHROMIUM, or one on the PATH. Without a browser the
# tests of pages say so and pass, so that only .ci/run calls this.
set -euo pipefail

say() { echo "setup-chromium: $*" >&2; }

has_browser() {
    [[ -n ${DOWNHILL_CHROMIUM:-} ]] && command -v "$DOWNHILL_CHROMIUM" && return
    command -v chromium || command -v chromium-browser || command -v google-chrome
} >/dev/null

source "$(dirname "$0")/packages.sh"

if has_browser; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    say "no browser, and this system has no apt-get. Install Chromium or Chrome by hand, and name it in DOWNHILL_CHROMIUM"
    exit 1
fi
say "no browser; installing chromium"
install_packages chromium
if ! has_browser; then
    say "chromium is installed, and still there is no such command"
    exit 1
fi
say "done"
