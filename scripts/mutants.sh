#!/usr/bin/env bash
# Changes the protocol crate in a thousand small ways and sees whether its tests notice (cargo-mutants). Long: an hour or two on two cores.
#
#   scripts/mutants.sh [MODULE...]     all modules, or only some: signal, link, …
#
# Each change first meets the quick unit tests of its own module; what those let live meets all tests of the crate. What is left stands in
# target/mutants/SURVIVORS; mutants that change nothing that can be seen are listed with their reasons in .cargo/mutants.toml.
set -euo pipefail
cd "$(dirname "$0")/.."

# module|files|its tests
MODULES='
link|link/*.rs|link
identity|identity.rs peer.rs position.rs message.rs contacts.rs safety_number.rs|identity peer position message contacts safety_number link
identity_file|identity_file/*.rs|identity_file
authority|authority.rs authority/*.rs|authority
signal|signal/*.rs|signal
handshake|handshake/*.rs kem.rs x25519.rs|handshake kem x25519
ratchet|ratchet/*.rs channel.rs|ratchet channel
media|media/*.rs|media
'
# Each of them takes seconds.
slow=(--skip any_order --skip a_stolen --skip flipped_bit --skip each_altered_byte --skip lines_were_wrapped --skip cut_short_anywhere)
# No further tests after one that has failed.
fail_fast=(-Z unstable-options --fail-fast)
host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export "CARGO_TARGET_${host}_RUNNER=env RUSTC_BOOTSTRAP=1"

out=$PWD/${CARGO_TARGET_DIR:-target}/mutants
command -v cargo-mutants >/dev/null || cargo install cargo-mutants --locked
# In a copy, whose build lasts from run to run.
mkdir -p "$out/tree"
git ls-files -z | tar --null -T - -c | tar -x -C "$out/tree"
export CARGO_TARGET_DIR="$out/build"
# Unchanged, all must pass: looked at once, here, and not again for each module.
(cd "$out/tree" && cargo test --quiet --profile mutants -p resonance-protocol)

mutate() { # folder, files, arguments for the tests
    local folder=$1 files=() file
    for file in $2; do files+=(-f "protocol/src/$file"); done
    shift 2
    rm -rf "${out:?}/$folder"
    mkdir -p "$out/$folder"
    (cd "$out/tree" && cargo mutants --in-place -p resonance-protocol --profile mutants --baseline skip --timeout 300 --build-timeout 900 \
        -o "$out/$folder" "${files[@]}" "$@") || true
}

: >"$out/SURVIVORS"
while IFS='|' read -r module files tests; do
    [ -n "$module" ] || continue
    [ $# -eq 0 ] || [[ " $* " == *" $module "* ]] || continue
    # shellcheck disable=SC2086 # one word a test
    mutate "$module" "$files" -C --lib -- -- "${fail_fast[@]}" "${slow[@]}" $tests
    survived="$out/$module/mutants.out/missed.txt"
    [ -s "$survived" ] || continue
    regex=$(cut -d' ' -f2- "$survived" | sed 's/[][\.*^$()+?{}|/]/\\&/g' | paste -sd'|')
    mutate "$module-again" "$files" -F "$regex" -- -- "${fail_fast[@]}"
    cat "$out/$module-again/mutants.out/missed.txt" >>"$out/SURVIVORS"
done <<<"$MODULES"

if [ -s "$out/SURVIVORS" ]; then
    echo "These changes go unnoticed:"
    cat "$out/SURVIVORS"
    exit 1
fi
echo "every change is noticed"
