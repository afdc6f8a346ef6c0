//! Hashed names, compressed twins, and the table that `horizon-web-dist` includes.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// The highest: the last two steps take three seconds more and save a tenth, which is what a page may lack.
const BROTLI_QUALITY: u32 = 11;
const BROTLI_WINDOW_BITS: u32 = 22;

/// One file of the page, on disk.
pub struct File {
    pub url: String,
    pub mime: &'static str,
    /// Whether the name changes with the content, so that a browser may keep it for good.
    pub immutable: bool,
    pub etag: String,
    pub identity: PathBuf,
    /// Twins exist only where they are smaller.
    pub brotli: Option<PathBuf>,
    pub gzip: Option<PathBuf>,
}

pub(crate) fn pack(source: &Path, out: &Path, js: &str, wasm: &[u8]) -> anyhow::Result<Vec<File>> {
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    let mut files = Vec::new();
    let mut asset = |stem: &str, extension: &str, mime, bytes: &[u8]| -> anyhow::Result<String> {
        let name = format!("{stem}-{}.{extension}", hash(bytes));
        let url = format!("/assets/{name}");
        files.push(write(out, url.clone(), name, mime, bytes)?);
        Ok(url)
    };
    let wasm_url = asset("horizon-web", "wasm", "application/wasm", wasm)?;
    let js_url = asset("horizon-web", "js", "text/javascript; charset=utf-8", js.as_bytes())?;
    let css = fs::read(source.join("static/app.css"))?;
    let css_url = asset("app", "css", "text/css; charset=utf-8", &css)?;
    let icon = fs::read(source.join("static/icon.svg"))?;
    let icon_url = asset("icon", "svg", "image/svg+xml", &icon)?;
    let links = [("{{wasm}}", wasm_url), ("{{js}}", js_url), ("{{css}}", css_url), ("{{icon}}", icon_url)];
    // A file of its own, so that the policy needs no exception for inline scripts.
    let boot = fill(&fs::read_to_string(source.join("static/boot.js"))?, &links);
    let boot_url = asset("boot", "js", "text/javascript; charset=utf-8", boot.as_bytes())?;
    let html = fill(&fs::read_to_string(source.join("index.html"))?, &links).replace("{{boot}}", &boot_url);
    let mut index =
        write(out, "/index.html".into(), "index.html".into(), "text/html; charset=utf-8", html.as_bytes())?;
    index.immutable = false;
    files.push(index);
    Ok(files)
}

/// Returns Rust source of a `static FILES`, each file included by its path.
pub fn table(files: &[File]) -> String {
    let include = |path: &Path| format!("include_bytes!({:?})", path.display().to_string());
    let twin = |path: &Option<PathBuf>| {
        path.as_deref().map_or("None".to_owned(), |path| format!("Some({})", include(path)))
    };
    let mut source = String::from("pub static FILES: &[File] = &[\n");
    for file in files {
        let File { url, mime, immutable, etag, identity, brotli, gzip } = file;
        let (identity, brotli, gzip) = (include(identity), twin(brotli), twin(gzip));
        writeln!(
            source,
            "    File {{ url: {url:?}, mime: {mime:?}, immutable: {immutable}, etag: {etag:?}, \
             identity: {identity}, brotli: {brotli}, gzip: {gzip} }},"
        )
        .expect("writing to a string cannot fail");
    }
    source + "];\n"
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn fill(template: &str, links: &[(&str, String)]) -> String {
    links.iter().fold(template.to_owned(), |text, (mark, url)| text.replace(mark, url))
}

fn write(out: &Path, url: String, name: String, mime: &'static str, bytes: &[u8]) -> anyhow::Result<File> {
    let identity = out.join(&name);
    fs::write(&identity, bytes)?;
    let twin = |extension: &str, packed: Vec<u8>| -> anyhow::Result<Option<PathBuf>> {
        if packed.len() >= bytes.len() {
            return Ok(None);
        }
        let path = out.join(format!("{name}.{extension}"));
        fs::write(&path, packed)?;
        Ok(Some(path))
    };
    let brotli = twin("br", brotli(bytes)?)?;
    let gzip = twin("gz", gzip(bytes)?)?;
    Ok(File { url, mime, immutable: true, etag: format!("\"{}\"", hash(bytes)), identity, brotli, gzip })
}

fn brotli(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut packed = Vec::new();
    brotli::CompressorWriter::new(&mut packed, 1 << 16, BROTLI_QUALITY, BROTLI_WINDOW_BITS)
        .write_all(bytes)?;
    Ok(packed)
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
