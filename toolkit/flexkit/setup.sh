#!/usr/bin/env bash
# make setup: everything that FlexKit needs on a bare Debian 12 or 13, as root or as a user with sudo.
#
# Installs the Debian packages that are missing, makes .venv with flexkit in it, and links ~/.local/bin/flexkit if that
# folder is on the PATH. A second run finds its stamp and touches neither network nor disk. Exit status: 0 done,
# 3 the machine lacks something that this script may not mend.
#
#   setup.sh              all of it
#   setup.sh --missing    print the Debian packages that are missing, one a line (flexkit doctor)
#   setup.sh --packages [NAME…]   install those, and more by name, nothing else (flexkit doctor --fix)
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$top/.venv
stamp=$venv/.flexkit-setup
constraints=$top/toolkit/constraints.txt

# Compilers and what TF-A's, U-Boot's and Linux's builds call, the emulator, file-system tools, Python, a browser that looks at reports.
packages=(
  gcc libc6-dev patch xz-utils bzip2 bison flex bc perl libssl-dev device-tree-compiler ccache e2fsprogs fdisk
  dosfstools mtools python3-libfdt gcc-aarch64-linux-gnu libc6-dev-arm64-cross python3 python3-venv qemu-user chromium umockdev bmap-tools
)
emulator=(qemu-system-arm qemu-utils)
emulator_major=10
# What a later run checks without asking dpkg: one program for each package that has one.
programs=(gcc patch xz mkfs.fat mcopy bison flex bc perl dtc ccache debugfs sfdisk aarch64-linux-gnu-gcc qemu-aarch64 qemu-system-aarch64 chromium umockdev-wrapper bmaptool)

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 3; }

wanted_stamp() {
  local release
  release=$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}")
  { echo "$release $top"; cat "$top/toolkit/flexkit/setup.sh" "$top/pyproject.toml" "$constraints"; } | sha256sum
}

is_done() {
  local program
  [ -f "$stamp" ] && [ -x "$venv/bin/flexkit" ] && [ "$(cat "$stamp")" = "$(wanted_stamp)" ] || return 1
  PATH=$PATH:/usr/sbin:/sbin
  for program in "${programs[@]}"; do command -v "$program" >/dev/null || return 1; done
}

# Run as root. Without root and without a password-less sudo: say what is to be run, and stop.
as_root() {
  if [ "$(id -u)" = 0 ]; then env DEBIAN_FRONTEND=noninteractive "$@"; return; fi
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n env DEBIAN_FRONTEND=noninteractive "$@"; return; fi
  fail "packages are missing, and this user is neither root nor may use sudo without a password" \
    "run as root, then make setup again: $*"
}

apt() { as_root apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o APT::Install-Recommends=false "$@"; }

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || echo "$package"
  done
}

has_emulator() {
  local version
  command -v qemu-system-aarch64 >/dev/null || return 1
  version=$(qemu-system-aarch64 --version | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge "$emulator_major" ] && [ -z "$(missing_packages "${emulator[@]}")" ]
}

# The backports suite, from the mirror that this machine uses for Debian itself, whatever form its sources have.
add_backports() {
  local uri suite=bookworm-backports file=/etc/apt/sources.list.d/flexkit-backports.sources
  apt-get indextargets --format '$(CODENAME) $(RELEASE)' | grep -qw "$suite" && return
  uri=$(apt-get indextargets --format '$(LABEL) $(CODENAME) $(REPO_URI)' | awk '$1 == "Debian" && $2 == "bookworm" { print $3; exit }')
  [ -n "$uri" ] || fail "apt on this machine has no Debian mirror for bookworm; add one to its sources"
  say "adding $suite (for QEMU $emulator_major) in $file"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$uri" "$suite" | as_root tee "$file" >/dev/null
  apt update
}

install_packages() {
  local missing release
  mapfile -t missing < <(missing_packages "${packages[@]}")
  if has_emulator && [ ${#missing[@]} = 0 ]; then return; fi
  release=$(. /etc/os-release && echo "${ID:-}${VERSION_ID:-}")
  case $release in
    debian12 | debian13) ;;
    *) fail "this machine is $release; FlexKit sets itself up on Debian 12 and 13" \
      "elsewhere install by hand: ${packages[*]} and QEMU $emulator_major (${emulator[*]})" ;;
  esac
  say "installing Debian packages: ${missing[*]} ${emulator[*]}"
  apt update
  [ ${#missing[@]} = 0 ] || apt -y install "${missing[@]}" >/dev/null
  has_emulator && return
  if [ "$release" = debian12 ]; then
    add_backports
    apt -y -t bookworm-backports install "${emulator[@]}" >/dev/null
  else
    apt -y install "${emulator[@]}" >/dev/null
  fi
}

# Debian's own python3, not whichever comes first in the PATH: python3-venv belongs to it.
make_venv() {
  if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
  fi
  say "installing Python packages into .venv"
  PIP_CONSTRAINT=$constraints PIP_DISABLE_PIP_VERSION_CHECK=1 \
    "$venv/bin/pip" install -q --retries 3 -e "$top[dev]"
}

link_program() {
  local folder=$HOME/.local/bin
  case ":$PATH:" in *":$folder:"*) ;; *) return ;; esac
  [ "$(readlink "$folder/flexkit" 2>/dev/null || true)" = "$venv/bin/flexkit" ] && return
  mkdir -p "$folder"
  ln -sfn "$venv/bin/flexkit" "$folder/flexkit"
}

case ${1:-} in
  --missing)
    missing_packages "${packages[@]}"
    has_emulator || printf '%s\n' "${emulator[@]}"
    exit 0 ;;
  --packages) packages+=("${@:2}"); install_packages; exit 0 ;;
  '') ;;
  *) printf 'usage: setup.sh [--missing | --packages [NAME...]]\n' >&2; exit 2 ;;
esac

if is_done; then link_program; exit 0; fi
exec 9>"${TMPDIR:-/tmp}/flexkit-setup-$(id -u).lock"
flock 9
if is_done; then link_program; exit 0; fi
install_packages
make_venv
link_program
wanted_stamp >"$stamp"
say "done: $venv/bin/flexkit"
