//! Looks for secrets where none may be: every key and every token of a small world, in every file that its programs
//! wrote and in everything that they answer.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use anyhow::ensure;

use crate::world::World;

/// Files whose whole content is a secret of 32 bytes.
const KEY_FILES: [&str; 10] = [
    "root.key",
    "online.key",
    "online.key.2",
    "online.key.3",
    "pepper",
    "seal.key",
    "node.key",
    "node.key.next",
    "device.key",
    "device.key.next",
];
/// A file that holds a secret among other things, which its owner reads.
const CONSOLE_KEY: &str = "console.key";
/// `hzr_`, the id, and the mark after it may be seen.
const SHOWN_CHARS: usize = 15;

/// One secret, in all the forms that it may be written in.
struct Canary {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Canary {
    fn key(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path)?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // CBOR's text of a list of numbers, and what `Debug` writes of an array.
        let list = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let forms = vec![base64(&bytes).into_bytes(), hex.into_bytes(), list.into_bytes(), bytes];
        Ok(Self { name: path.display().to_string(), forms })
    }

    fn token(join: &str) -> Option<Self> {
        let start = join.find("hz").filter(|start| join.len() > start + SHOWN_CHARS)?;
        let end = join[start..].find('#').map_or(join.len(), |end| start + end);
        let secret = join.get(start + SHOWN_CHARS..end)?;
        Some(Self { name: join[..start + SHOWN_CHARS].to_owned(), forms: vec![secret.as_bytes().to_vec()] })
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| memchr::memmem::find(bytes, form).is_some())
    }
}

/// Fails when a secret of the world stands where it may not.
///
/// # Errors
/// When one does; the error names secret and place, not the secret.
pub fn check(world: &World) -> anyhow::Result<()> {
    let files = files_below(world.folder.path())?;
    let is_key = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        KEY_FILES.contains(&name)
    };
    let keys = files.iter().filter(|path| is_key(path)).map(|path| Canary::key(path));
    let mut canaries = keys.collect::<anyhow::Result<Vec<_>>>()?;
    let joins = world.controller.invitations();
    canaries.extend(joins.iter().filter_map(|join| Canary::token(join)));
    let mut found = Vec::new();
    let mut look = |place: &str, bytes: &[u8]| {
        let here = canaries.iter().filter(|canary| canary.is_in(bytes));
        found.extend(here.map(|canary| format!("{} in {place}", canary.name)));
    };
    for path in files.iter().filter(|path| !is_key(path) && !path.ends_with(CONSOLE_KEY)) {
        look(&path.display().to_string(), &fs::read(path)?);
    }
    for (place, said) in world.answers() {
        look(place, said.as_bytes());
    }
    ensure!(found.is_empty(), "secrets are where none may be: {found:#?}");
    Ok(())
}

/// Reads the metrics of a controller through its socket.
///
/// # Errors
/// When none runs.
pub fn metrics(socket: &Path) -> anyhow::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// Returns every file, without following links; sockets are none.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Without the last letters: how they look depends on what follows.
    let sextets = bytes.chunks_exact(3).flat_map(|three| {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        [18, 12, 6, 0].map(|shift| (bits >> shift & 63) as usize)
    });
    sextets.map(|sextet| char::from(ALPHABET[sextet])).collect()
}
