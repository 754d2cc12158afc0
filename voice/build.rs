//! Links what WebRTC's voice processing needs of abseil.
//!
//! Its own build script names the library for strings only. Where abseil is installed, that is split into several: pkg-config knows them.
//! Where it is not, WebRTC's build brings its own, which is whole.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "webrtc-apm")]
    if let Ok(abseil) =
        pkg_config::Config::new().atleast_version("20240722").cargo_metadata(false).probe("absl_strings")
    {
        for library in abseil.libs.iter().filter(|library| library.starts_with("absl_")) {
            println!("cargo:rustc-link-lib={library}");
        }
    }
}
