//! The folders of manifests that the controller reads.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use horizon_api::http::View;
use horizon_node::failure::Failure;
use tokio::sync::{mpsc, watch};

use crate::{
    event::Event,
    source::{
        Reader,
        files::{self, Detections, FolderWatch, Watch},
    },
    tasks::Tasks,
};

/// Returns each folder with the name of its source: its absolute path, however it was written and wherever the
/// process stands. Links stay in it, because what they lead to is swapped.
pub(super) fn folders(manifests: &[PathBuf]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut folders: Vec<(String, PathBuf)> = Vec::new();
    for folder in manifests {
        let path = std::path::absolute(folder).with_context(|| format!("find {}", folder.display()))?;
        let path: PathBuf = path.components().collect();
        if let Some((_, other)) = folders.iter().find(|(_, other)| is_same_folder(other, &path)) {
            let (other, path) = (other.display(), path.display());
            let text = format!("--manifests {path}: is the same folder as {other}; name it once");
            return Err(Failure::Usage(text).into());
        }
        folders.push((format!("files:{}", path.display()), path));
    }
    Ok(folders)
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// Watches each.
pub(super) async fn watch(
    folders: &[(String, PathBuf)],
    views: &watch::Receiver<Arc<View>>,
    events: &mpsc::Sender<Event>,
    tasks: &mut Tasks,
) -> anyhow::Result<Vec<(String, Arc<Detections>)>> {
    let mut watches = Vec::new();
    for (source, root) in folders {
        let path = source.trim_start_matches("files:");
        let had_manifests = views.borrow().sources.iter().any(|s| s.path == path && s.objects > 0);
        let FolderWatch { mut scans, detections } = files::watch(Watch::new(root, had_manifests)).await?;
        watches.push((source.clone(), detections));
        let (source, events) = (source.clone(), events.clone());
        let mut reader = Reader::default();
        tasks.spawn("the watch of a folder", async move {
            loop {
                let scan = scans.borrow_and_update().clone();
                // Parsing takes long enough to be in the way of what waits for the network.
                let parsed = tokio::task::block_in_place(|| reader.read(&scan.files));
                let sent = events.send(Event::Scanned { source: source.clone(), scan, parsed }).await;
                if sent.is_err() || scans.changed().await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(watches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_name_however_it_is_written() {
        let names = |path: &str| folders(&[path.into()]).expect("a name").remove(0).0;

        assert_eq!(names("/etc/horizon/"), "files:/etc/horizon");
        assert_eq!(names("/etc/./horizon//"), "files:/etc/horizon");
        assert_eq!(names("/etc/horizon"), "files:/etc/horizon");
    }

    #[test]
    fn the_same_folder_twice_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("a")).expect("made");
        std::fs::create_dir_all(at("b")).expect("made");
        std::os::unix::fs::symlink("a", at("link")).expect("made");

        assert!(folders(&[at("a"), at("b")]).is_ok());
        assert!(folders(&[at("a"), at("a/")]).is_err());
        assert!(folders(&[at("a"), at("link")]).is_err());
        assert!(folders(&["/nowhere".into(), "/nowhere/".into()]).is_err());
    }
}
