//! Writes a made-up company as a folder of manifests: `cargo run -p horizon-planner --example crowd -- 10000 DIR`.
//! For measurements and for looking at what a large folder does.

#[path = "../tests/world/crowd.rs"]
mod crowd;

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(objects), Some(folder)) = (words.next(), words.next()) else {
        return Err("usage: crowd OBJECTS DIR".into());
    };
    for (path, text) in crowd::crowd(objects.parse()?, 1) {
        let path = Path::new(&folder).join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(path, text)?;
    }
    Ok(())
}
