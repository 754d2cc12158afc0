#!/usr/bin/env bash
# Runs a command in a Debian 13, for what older systems cannot build.
#
#   scripts/debian13.sh COMMAND...
#
# The system is made by debootstrap when it is first wanted (a minute, a gigabyte and a half) and kept under target/debian13; what is
# built in it lies beside it, which is all of this machine's that it can write. It sees the tree, the Rust toolchain and what cargo has
# downloaded, each at its own path and read-only; and below /machine all of this machine, read-only mount by mount, where the judge of
# sounds runs. The devices in /dev are this machine's own. All mounts belong to a namespace of this script: none is left, however it ends.
#
# Exits with 3 and a reason where that cannot be done.
set -euo pipefail
cd "$(dirname "$0")/.."

# What the program is built with, and for WebRTC's voice processing abseil, meson, ninja and clang.
PACKAGES='ca-certificates,gcc,g++,make,cmake,pkg-config,libasound2-dev,libabsl-dev,meson,ninja-build,clang,libclang-dev'

tree=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
place=$target/debian13
root=$place/root
build=$place/build
ready="$root/ready-$(cksum <<<"$PACKAGES" | cut -d' ' -f1)"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
toolchain=$(rustc --print sysroot)
PATH=$PATH:/usr/sbin:/sbin

cannot() {
    echo "$*"
    exit 3
}

# Shows a folder of this machine at the same path in there.
show() {
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    [ "${2:-}" = writable ] || mount -o remount,bind,ro "$root$1"
}

make_root() {
    echo "Making a Debian 13 in $root"
    # A new one beside it, so that half of one is never taken for a whole one.
    rm -rf "$root" "$root.new"
    debootstrap --variant=minbase --include="$PACKAGES" trixie "$root.new" >"$place/debootstrap.log" 2>&1 ||
        cannot "debootstrap cannot make a Debian 13 ($place/debootstrap.log says why)"
    rm -rf "$root.new"/var/cache/apt/archives/*.deb
    mv "$root.new" "$root"
    touch "$ready"
}

if [ "${1:-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || cannot "a Debian 13 to build it in takes root"
    command -v debootstrap >/dev/null || cannot "a Debian 13 to build it in takes debootstrap"
    unshare --mount true 2>/dev/null || cannot "a Debian 13 to build it in takes mounts, which this machine forbids"
    { [ "$toolchain" != /usr ] && [ -x "$toolchain/bin/cargo" ]; } ||
        cannot "a Debian 13 to build it in takes a Rust toolchain in a folder of its own, as rustup installs it"
    mkdir -p "$build/venv/bin"
    # In there is no network.
    "${CARGO:-cargo}" fetch --quiet --locked
    exec flock "$place/lock" unshare --mount --propagation private -- "$BASH" "$tree/scripts/debian13.sh" --inside "$@"
fi
shift
! grep -qF " $root" /proc/self/mountinfo || cannot "something is mounted below $root already"
[ -f "$ready" ] || make_root

# The judge of sounds is a Python environment of this machine, which does not run on other libraries: it runs back here.
mkdir -p "$root/machine"
mount --rbind / "$root/machine"
# One mount that cannot be written says nothing about those below it.
findmnt -rno TARGET -R "$root/machine" | while IFS= read -r mounted; do
    mount -o remount,bind,ro "$(printf '%b' "$mounted")"
done || cannot "this machine cannot be shown without being open to changes"
printf '#!/bin/sh\nexec chroot /machine "%s" "$@"\n' "$target/venv/bin/python" >"$build/venv/bin/python"
chmod +x "$build/venv/bin/python"

show "$tree"
show "$toolchain"
show "$cargo_home"
mkdir -p "$build"
show "$build" writable
[ ! -d /usr/share/sounds/alsa ] || show /usr/share/sounds/alsa
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
# The path of libraries is for rust-objcopy, which does not find its own; the toolchain is named for rustup, which cargo may call.
exec chroot "$root" env -i -C "$tree" PATH="$toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root \
    LD_LIBRARY_PATH="$toolchain/lib" RUSTUP_TOOLCHAIN="$toolchain" CARGO_HOME="$cargo_home" CARGO_TARGET_DIR="$build" CARGO_NET_OFFLINE=true "$@"
