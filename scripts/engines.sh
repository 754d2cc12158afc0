#!/usr/bin/env bash
# The optional engines: what of them can be built here.
#
#   scripts/engines.sh build ARGS...   cargo build ARGS with those of them that can be built here, and says on standard error which
#   scripts/engines.sh libraries       prints what LD_LIBRARY_PATH has to be for the program to find their libraries
#   scripts/engines.sh check           builds and tests them, and says plainly what was not and why
#
# Steam Audio: libphonon.so in the folder that STEAMAUDIO_LIB_DIR names (then nowhere else), or among the system's libraries, or
# downloaded by its build; and in each case libclang, which reads its header.
# WebRTC's voice processing: abseil of July 2024 or newer, meson, ninja, clang, and libclang for its header. Debian has that from 13 on,
# so elsewhere it is tested in a Debian 13 of its own (scripts/debian13.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# What the build of audionimbus downloads.
DOWNLOAD=https://github.com/ValveSoftware/steam-audio/releases/download/v4.8.1/steamaudio_4.8.1.zip

phonon() {
    if [ -n "${STEAMAUDIO_LIB_DIR+set}" ]; then
        [ -z "$STEAMAUDIO_LIB_DIR" ] || ! ls "$STEAMAUDIO_LIB_DIR"/libphonon.* >/dev/null 2>&1 || printf '%s' "$STEAMAUDIO_LIB_DIR"
        return
    fi
    find /usr/lib /usr/local/lib "$target"/release/build/audionimbus-sys-*/out/lib -name 'libphonon.so' -printf '%h' -quit 2>/dev/null || true
}

# Whether it would come by itself.
phonon_comes() { curl -sfIL --max-time 5 -o /dev/null "$DOWNLOAD" 2>/dev/null; }

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || [ -n "$(find /usr/lib /usr/local/lib -name 'libclang*.so*' -print -quit 2>/dev/null)" ]
}

# What Steam Audio lacks here.
steam_audio_lacks() {
    if [ -z "$folder" ] && [ -n "${STEAMAUDIO_LIB_DIR+set}" ]; then
        echo "STEAMAUDIO_LIB_DIR is set to '$STEAMAUDIO_LIB_DIR', where there is no libphonon: name its folder, or unset it"
    elif [ -z "$folder" ] && ! phonon_comes; then
        echo "there is no libphonon here, and $DOWNLOAD does not answer: STEAMAUDIO_LIB_DIR names the folder of one"
    elif ! has_libclang; then
        echo "there is no libclang here, which reads its header (Debian: libclang-dev)"
    fi
}

# What WebRTC's voice processing lacks here.
webrtc_lacks() {
    local tool
    pkg-config --exists 'absl_base >= 20240722' absl_flags absl_strings absl_numeric absl_synchronization absl_bad_optional_access \
        2>/dev/null || { echo "there is no abseil of July 2024 or newer here" && return; }
    for tool in meson ninja clang; do
        command -v "$tool" >/dev/null || { echo "there is no $tool here" && return; }
    done
    has_libclang || echo "there is no libclang here"
}

# The name of a part, and what it lacks: whether it is there.
say() {
    if [ -z "$2" ]; then
        echo "Built in: $1, $3." >&2
    else
        echo "Not built in: $1, since $2." >&2
        return 1
    fi
}

check_steam_audio() {
    local lacks
    lacks=$(steam_audio_lacks)
    if [ -n "$lacks" ]; then
        echo "Steam Audio: built against its header only (make check), neither linked nor tested, since $lacks."
        return
    fi
    echo "Steam Audio:"
    # Twice where it is downloaded: what runs has to find it, too.
    [ -n "$folder" ] || "$cargo" test --release --workspace --locked --features steam-audio-download --test suite --no-run
    folder=$(phonon)
    STEAMAUDIO_LIB_DIR="$folder" LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
        "$cargo" test --release --workspace --locked --features steam-audio --test suite -- --nocapture spatial::
    echo "Steam Audio: built, linked and tested ($folder)."
}

check_webrtc() {
    local outcome=0 inside
    inside='set -x
        cargo test --release --locked -p resonance-voice --features webrtc-apm
        cargo clippy --release --locked -p resonance-voice --all-targets --features webrtc-apm -- -D warnings
        cargo check --release --locked --lib --features webrtc-apm
        cargo bench --locked -p resonance-voice --features webrtc-apm --bench voice || exit 4'
    echo "WebRTC's voice processing, in a Debian 13:"
    bash scripts/debian13.sh sh -ec "$inside" || outcome=$?
    case $outcome in
    0) echo "WebRTC's voice processing: built, linked and tested in a Debian 13, beside the engine that is always there." ;;
    3) echo "WebRTC's voice processing: neither built nor tested, for the reason above." ;;
    4) echo "WebRTC's voice processing: built, linked and tested in a Debian 13; of the figures above, some are not what they have to be." ;;
    *) return "$outcome" ;;
    esac
}

folder=$(phonon)
case "${1:-}" in
build)
    features=()
    if say "Steam Audio" "$(steam_audio_lacks)" "which places voices (--hrtf steam-audio)"; then
        if [ -n "$folder" ]; then
            features+=(steam-audio)
            export STEAMAUDIO_LIB_DIR="$folder"
        else
            features+=(steam-audio-download)
        fi
    fi
    if say "WebRTC's voice processing" "$(webrtc_lacks)" "which cleans the own voice (--voice-engine webrtc)"; then
        features+=(webrtc-apm)
        # Rust's objcopy, by which that is built, does not find its own library.
        libraries=$(rustc --print sysroot)/lib
        export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
    exec "$cargo" build "${@:2}" --features "${features[*]}"
    ;;
libraries) printf '%s' "$folder${folder:+${LD_LIBRARY_PATH:+:}}${LD_LIBRARY_PATH:-}" ;;
check)
    check_steam_audio
    check_webrtc
    ;;
*)
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
