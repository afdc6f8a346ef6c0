//! From the crate `horizon-web` to a folder of hashed, compressed files, with no tool installed by hand.
//!
//! A nested `cargo build` makes the `.wasm`, `wasm-bindgen-cli-support` makes its JavaScript in this process,
//! then each file gets its hash into its name, a brotli and a gzip twin. [`table`] lists them as Rust source.

mod compile;
mod pack;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

pub use pack::{File, table};

/// Where to read and where to write.
pub struct Options<'a> {
    pub workspace: &'a Path,
    /// The nested cargo's own target directory; never the outer one, which is locked.
    pub target_dir: &'a Path,
    /// Emptied first.
    pub out: &'a Path,
}

/// Builds the page and writes its files.
pub fn bundle(options: &Options<'_>) -> anyhow::Result<Vec<File>> {
    let wasm = compile::compile(options).context("compile horizon-web for wasm32")?;
    let (js, wasm) = bind(&wasm).context("bind the .wasm to JavaScript")?;
    pack::pack(&options.workspace.join("web"), options.out, &js, &wasm).context("write the page's files")
}

fn bind(wasm: &PathBuf) -> anyhow::Result<(String, Vec<u8>)> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen
        .input_path(wasm)
        .web(true)?
        .typescript(false)
        .debug(false)
        .keep_debug(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .omit_default_module_path(true);
    let mut output = bindgen.generate_output()?;
    // Inline JavaScript of a dependency would need a file of its own, which nothing here serves.
    if output.snippets().values().any(|snippets| !snippets.is_empty()) || !output.local_modules().is_empty() {
        bail!("a dependency of horizon-web brings JavaScript of its own: {:?}", output.snippets().keys());
    }
    Ok((output.js().to_owned(), output.wasm_mut().emit_wasm()))
}
