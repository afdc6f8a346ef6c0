//! The `.wasm`: a panic is said on the browser's console, then the page starts.

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    horizon_web::start();
}

/// The page runs in a browser only; this keeps the crate checkable on the host.
#[cfg(not(target_arch = "wasm32"))]
fn main() {}
