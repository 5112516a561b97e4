#!/usr/bin/env bash
# Makes sure that MPI is there for the feature `mpi`: its headers, mpirun, and libclang, which reads the headers. Installs Open MPI
# where one of them is missing.
#
#   scripts/setup-mpi.sh
#
# Asks nothing, and does nothing where all is there.
set -euo pipefail

say() { echo "setup-mpi: $*" >&2; }

has_mpi() {
    command -v mpicc && command -v mpirun && (ldconfig -p | grep -q libclang || compgen -G "/usr/lib/llvm-*/lib/libclang*.so*")
} >/dev/null

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}

packages=(libopenmpi-dev openmpi-bin libclang-dev)

if has_mpi; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    say "no MPI, and this system has no apt-get. Install Open MPI or MPICH with its headers, and libclang, by hand"
    exit 1
fi
if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
    say "no MPI, and to install one takes root. Run this, then try again:"
    say "  sudo apt-get update && sudo apt-get install -y ${packages[*]}"
    exit 1
fi
say "installing ${packages[*]}"
apt update || say "the package lists could not all be renewed; going on with those at hand"
if ! apt install -y --no-install-recommends "${packages[@]}"; then
    say "apt-get could not install them (its words are above). Is the network up?"
    exit 1
fi
if ! has_mpi; then
    say "they are installed, and still mpicc, mpirun or libclang is missing"
    exit 1
fi
say "done"
