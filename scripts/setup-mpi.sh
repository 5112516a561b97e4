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
    command -v mpicc && command -v mpirun && { [[ -n ${LIBCLANG_PATH:-} ]] || compgen -G "/usr/lib/llvm-*/lib/libclang.so"; }
} >/dev/null

source "$(dirname "$0")/packages.sh"

packages=(libopenmpi-dev openmpi-bin libclang-dev)

if has_mpi; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    say "no MPI, and this system has no apt-get. Install Open MPI or MPICH with its headers, and libclang, by hand"
    exit 1
fi
say "installing ${packages[*]}"
install_packages "${packages[@]}"
if ! has_mpi; then
    say "they are installed, and still mpicc, mpirun or libclang is missing"
    exit 1
fi
say "done"
