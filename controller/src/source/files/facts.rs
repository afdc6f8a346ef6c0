//! What the folder source promises, on real folders.

mod access;
mod limits;
mod walk;
mod watch;

use std::path::Path;

use super::FolderScan;

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn texts(scan: &FolderScan) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    scan.files.iter().map(|file| (file.path.clone(), text(&file.bytes))).collect()
}

fn paths(scan: &FolderScan) -> Vec<&str> {
    scan.files.iter().map(|file| file.path.as_str()).collect()
}

fn problems(scan: &FolderScan) -> Vec<String> {
    scan.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.sentence())).collect()
}
