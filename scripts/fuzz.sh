#!/usr/bin/env bash
# Fuzzes what the protocol crate reads from others (cargo-fuzz, libFuzzer), each target for FOR seconds: 10 minutes if not said.
#
#   [FOR=600] scripts/fuzz.sh [TARGET...]     link signal handshake channel sframe
#
# Begins with the inputs in protocol/fuzz/corpus, which the ordinary tests run through, too; what it learns stays in target/fuzz. A finding ends
# it and is left under protocol/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../protocol"
targets=${*:-link signal handshake channel sframe}
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
# libFuzzer's instrumentation is behind flags that a stable compiler has but does not offer. Nothing in the crate is unsafe: no sanitizer.
export RUSTC_BOOTSTRAP=1
for target in $targets; do
    learnt=../target/fuzz/$target
    mkdir -p "$learnt"
    cargo fuzz run --sanitizer none "$target" "$learnt" "fuzz/corpus/$target" -- -max_total_time="${FOR:-600}" -max_len=4096 -print_final_stats=1
done
