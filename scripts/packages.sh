# Debian's packages for the scripts that make sure of something: `source scripts/packages.sh`, with `say` defined.

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}

# Installs packages, or says what a person can do, and fails.
install_packages() {
    if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
        say "that takes root, and sudo is missing or wants a password. Run this, then try again:"
        say "  sudo apt-get update && sudo apt-get install -y $*"
        return 1
    fi
    apt update || say "the package lists could not all be renewed; going on with those at hand"
    if ! apt install -y --no-install-recommends "$@"; then
        say "apt-get could not install $* (its words are above). Is the network up?"
        return 1
    fi
}
