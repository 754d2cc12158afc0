#!/usr/bin/env bash
# Makes what is handed to others, under target/dist (or $CARGO_TARGET_DIR/dist): a tarball to unpack over /usr/local, and a Debian package.
# The man page and the completions come from the program that is packed.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
dist=$target/dist
program=$target/release/resonance
cargo=${CARGO:-cargo}

"$cargo" build --release --locked --bin resonance
version=$("$program" --version | cut -d' ' -f2)
name=resonance-$version-$(uname -m)-linux
rm -rf "$dist"
tree=$dist/$name
share=$tree/share
install -D -s -m 755 "$program" "$tree/bin/resonance"
mkdir -p "$share"/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
"$program" man | gzip -9n >"$share/man/man1/resonance.1.gz"
"$program" completions bash >"$share/bash-completion/completions/resonance"
"$program" completions zsh >"$share/zsh/site-functions/_resonance"
"$program" completions fish >"$share/fish/vendor_completions.d/resonance.fish"
install -D -m 644 contrib/resonance.desktop "$share/applications/resonance.desktop"
for text in README.md SECURITY.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT assets/README.md; do
    install -D -m 644 "$text" "$share/doc/resonance/$(tr / - <<<"$text")"
done
tar -C "$dist" --sort=name --owner=0 --group=0 --numeric-owner -czf "$dist/$name.tar.gz" "$name"

# The package holds the same files: Cargo.toml names them in this place, whatever the version and wherever $target is.
if command -v dpkg-shlibdeps >/dev/null; then
    mkdir -p target/dist
    ln -sfn "$(realpath "$tree")" target/dist/tree
    tools=$target/tools
    packager=$tools/bin/cargo-deb
    "$packager" --version >/dev/null 2>&1 ||
        CARGO_TARGET_DIR=$tools/build "$cargo" install --locked --root "$tools" --version 3.8.0 cargo-deb
    "$packager" --no-build --no-strip --locked --output "$dist/"
else
    echo "No Debian package: what it depends on is found by dpkg-shlibdeps (package dpkg-dev), which is missing." >&2
fi

(cd "$dist" && find . -name '*.tar.gz' -o -name '*.deb' | sort | xargs sha256sum -- >SHA256SUMS && cat SHA256SUMS)
