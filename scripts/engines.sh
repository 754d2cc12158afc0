#!/usr/bin/env bash
# The optional engines: what of them can be built here.
#
#   scripts/engines.sh features     prints cargo's option that turns them on, and says on standard error which
#   scripts/engines.sh libraries    prints what LD_LIBRARY_PATH has to be for the program to find their libraries
#   scripts/engines.sh check        builds and tests them, and says plainly what is not there
#
# Steam Audio: libphonon.so in the folder that STEAMAUDIO_LIB_DIR names, or among the system's libraries; libclang reads its header.
set -euo pipefail
cd "$(dirname "$0")/.."

phonon() {
    if [ -n "${STEAMAUDIO_LIB_DIR:-}" ]; then
        ls "$STEAMAUDIO_LIB_DIR"/libphonon.* >/dev/null 2>&1 && printf '%s' "$STEAMAUDIO_LIB_DIR"
        return
    fi
    find /usr/lib /usr/local/lib -name 'libphonon.so' -printf '%h' -quit 2>/dev/null || true
}

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || [ -n "$(find /usr/lib /usr/local/lib -name 'libclang*.so*' -print -quit 2>/dev/null)" ]
}

folder=$(phonon || true)
case "${1:-}" in
features)
    if [ -n "$folder" ] && has_libclang; then
        echo "--features steam-audio"
        echo "Voices can be placed by Steam Audio ($folder): --hrtf steam-audio." >&2
    fi
    ;;
libraries) printf '%s' "$folder${folder:+${LD_LIBRARY_PATH:+:}}${LD_LIBRARY_PATH:-}" ;;
check)
    if [ -z "$folder" ]; then
        echo "Steam Audio is not tested: there is no libphonon here. STEAMAUDIO_LIB_DIR names the folder of one" \
            "(https://github.com/ValveSoftware/steam-audio/releases)."
        exit 0
    fi
    echo "Steam Audio ($folder):"
    export STEAMAUDIO_LIB_DIR="$folder" LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    exec "${CARGO:-cargo}" test --release --workspace --locked --features steam-audio --test suite -- --nocapture spatial::
    ;;
*)
    echo "usage: scripts/engines.sh features|libraries|check" >&2
    exit 2
    ;;
esac
