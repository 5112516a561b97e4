#!/usr/bin/env bash
# Makes sure that a Vulkan adapter answers, and installs Mesa's software adapter where none does.
#
#   scripts/setup-adapter.sh [DOWNHILL]
#
# DOWNHILL is the built program, whose `adapters` command is the judge. Without it a Vulkan loader and a
# driver's manifest are enough. Asks nothing, and does nothing where an adapter answers already.
set -euo pipefail

PACKAGES=(libvulkan1 mesa-vulkan-drivers)
downhill=${1:-}

say() { echo "setup-adapter: $*" >&2; }

has_loader() {
    PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | grep -F libvulkan.so.1 >/dev/null
}

has_driver() {
    [[ -n ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}${VK_ADD_DRIVER_FILES:-} ]] && return
    local share=${XDG_DATA_HOME:-${HOME:-/root}/.local/share}
    compgen -G "/usr/share/vulkan/icd.d/*.json" || compgen -G "/usr/local/share/vulkan/icd.d/*.json" ||
        compgen -G "/etc/vulkan/icd.d/*.json" || compgen -G "$share/vulkan/icd.d/*.json"
} >/dev/null

answers() {
    if [[ -x $downhill ]]; then
        "$downhill" adapters >/dev/null 2>&1
    else
        has_loader && has_driver
    fi
}

source "$(dirname "$0")/packages.sh"

if [[ $(uname -s) != Linux ]] || answers; then
    exit 0 # elsewhere Metal or DirectX is part of the system
fi

say "no Vulkan adapter answers; installing Mesa's software adapter (${PACKAGES[*]})"
if ! command -v apt-get >/dev/null; then
    say "this system has no apt-get. Install a Vulkan loader and a driver by hand, then try again:"
    say "  Fedora: dnf install vulkan-loader mesa-vulkan-drivers"
    say "  Arch:   pacman -S vulkan-icd-loader vulkan-swrast"
    exit 1
fi
install_packages "${PACKAGES[@]}"
if ! answers; then
    say "${PACKAGES[*]} are installed, and still no adapter answers."
    if [[ -x $downhill ]]; then "$downhill" adapters >&2 || true; fi
    if [[ -n ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-} ]]; then
        say "VK_DRIVER_FILES or VK_ICD_FILENAMES is set and hides other drivers: unset it, or correct it."
    fi
    exit 1
fi
say "done: an adapter answers"
