//! The console: one page, live. `model/` computes and is tested natively, `live.rs` talks, the rest shows.

#[cfg(target_arch = "wasm32")]
pub fn start() {
    leptos::mount::mount_to_body(|| leptos::prelude::view! { <p>"x"</p> });
}
