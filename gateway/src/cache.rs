//! The last good configuration on disk: what a gateway runs while the controller is away.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::PathBuf,
};

use anyhow::Context;
use horizon_api::{
    assignment::Assignment,
    delegation::{Pin, Trust},
    kept::Kept,
    key::{PublicKey, RootFingerprint},
    section::{ContentHash, Section},
};
use horizon_node::{data_folder::DataFolder, durable};

use crate::{
    disk::Current,
    running::{Running, Sections},
};

/// The files of one gateway's configuration.
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(crate) fn open(data: &DataFolder) -> anyhow::Result<Self> {
        Ok(Self { folder: data.folder("config")? })
    }

    /// Reads the last configuration and checks it as if it had just arrived. `None` before the first.
    pub(crate) fn load(&self, pin: &Pin, gateway: &[PublicKey]) -> anyhow::Result<Option<(Running, i64)>> {
        self.load_file(CURRENT, pin, gateway)
    }

    /// Reads the configuration that ran before one that must be confirmed, with its sections. Whom the one that runs
    /// revokes stays revoked: a hold inside the time to confirm is none of what is taken back.
    pub(crate) fn load_previous(
        &self,
        gateway: &[PublicKey],
        running: &Running,
    ) -> anyhow::Result<(Running, Sections)> {
        let loaded = self.load_file(PREVIOUS, &running.trust.pin().of_then(), gateway)?;
        let (mut previous, _) = loaded.context("nothing ran before that was confirmed")?;
        previous.revoke_later(&running.config.revoked);
        let named = previous.verified.sections().iter().map(|section| section.hash);
        let sections = named.filter_map(|hash| Some((hash, self.section(&hash)?))).collect();
        Ok((previous, sections))
    }

    /// Keeps what runs, so that it runs again unless what comes is confirmed. This gateway may have missed what the
    /// controller means by "before": it goes back to what it ran itself. Where another change that must be confirmed
    /// runs, what ran before it is kept already.
    pub(crate) fn keep_previous(
        &self,
        running: Option<&Running>,
        next: &Running,
        time_floor_ms: i64,
    ) -> anyhow::Result<()> {
        match running.filter(|running| next.is_provisional() && !running.is_provisional()) {
            Some(running) => self.write_file(PREVIOUS, running, time_floor_ms),
            None => Ok(()),
        }
    }

    fn load_file(
        &self,
        name: &str,
        pin: &Pin,
        gateway: &[PublicKey],
    ) -> anyhow::Result<Option<(Running, i64)>> {
        let path = self.folder.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
        };
        let current = Current::read(&bytes).with_context(|| format!("read {}", path.display()))?;
        // A stale configuration is never dropped by itself: the delegation's end is for links, not for what it signed.
        let trust =
            Trust::establish(&current.delegation, pin, i64::MIN).context("check the cached delegation")?;
        let verified = Assignment::verify(&current.assignment, &trust, gateway, None)
            .context("check the cached assignment")?;
        let config = verified.assemble(|hash| self.section(hash)).context("read the cached sections")?;
        let mut running = Running::new(trust, current.delegation, current.assignment, verified, config);
        running.revoke_later(&current.revoked_later);
        Ok(Some((running, current.time_floor_ms)))
    }

    /// Returns what the root had said of the controller's keys when what ran last was taken.
    pub(crate) fn pin(&self, root: RootFingerprint) -> Option<Pin> {
        let current = Current::read(&fs::read(self.folder.join(CURRENT)).ok()?).ok()?;
        let trust = Trust::establish(&current.delegation, &Pin::new(root), i64::MIN).ok()?;
        Some(trust.pin())
    }

    /// Returns what ran last as it was signed, with whom it revoked.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let current = Current::read(&fs::read(self.folder.join(CURRENT)).ok()?).ok()?;
        let mut sections = current.sections.iter().filter_map(|hash| self.section(hash));
        let revocations =
            sections.find(|bytes| matches!(Section::decode(bytes), Ok(Section::Revocations(_))))?;
        Some(Kept { delegation: current.delegation, assignment: current.assignment, revocations })
    }

    /// Returns a section that is on disk.
    pub(crate) fn section(&self, hash: &ContentHash) -> Option<Vec<u8>> {
        fs::read(self.folder.join(hash.to_string())).ok()
    }

    /// Makes a configuration the one that the next start runs: sections first, then the file that names them.
    /// The sections of the one before stay, so that going back takes one file: [`Cache::forget_others`].
    pub(crate) fn store(
        &self,
        running: &Running,
        sections: &Sections,
        time_floor_ms: i64,
    ) -> anyhow::Result<()> {
        for (hash, bytes) in sections {
            // Compared, because a file that is there may be damaged.
            if self.section(hash).as_ref() != Some(bytes) {
                let path = self.folder.join(hash.to_string());
                durable::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
            }
        }
        self.store_current(running, time_floor_ms)
    }

    /// Remembers which configuration runs, and the time with it. Its sections are on disk.
    pub(crate) fn store_current(&self, running: &Running, time_floor_ms: i64) -> anyhow::Result<()> {
        self.write_file(CURRENT, running, time_floor_ms)
    }

    fn write_file(&self, name: &str, running: &Running, time_floor_ms: i64) -> anyhow::Result<()> {
        let named = running.verified.sections().iter().map(|section| section.hash).collect();
        let version = running.verified.version();
        let (delegation, signed) = (running.delegation.clone(), running.signed.clone());
        let revoked_later = running.revoked_later().clone();
        let current = Current::new(delegation, signed, version, named, time_floor_ms, revoked_later);
        let path = self.folder.join(name);
        durable::write(&path, &current.to_bytes()).with_context(|| format!("write {}", path.display()))
    }

    /// Makes the next start begin without a configuration. Sections stay, so that one file brings it back.
    pub(crate) fn forget_current(&self) -> anyhow::Result<()> {
        let path = self.folder.join(CURRENT);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => File::open(&self.folder).and_then(|folder| folder.sync_all()),
        };
        removed.with_context(|| format!("remove {}", path.display()))
    }

    fn named_by_previous(&self) -> Option<Vec<ContentHash>> {
        let bytes = fs::read(self.folder.join(PREVIOUS)).ok()?;
        Current::read(&bytes).ok().map(|previous| previous.sections)
    }

    /// Sections that nothing names are only wasted space: failing to remove one is no fault.
    pub(crate) fn forget_others(&self, running: &Running) {
        let mut named: Vec<_> = running.verified.sections().iter().map(|s| s.hash.to_string()).collect();
        named.push(CURRENT.to_owned());
        if let Some(previous) = running.is_provisional().then(|| self.named_by_previous()).flatten() {
            named.push(PREVIOUS.to_owned());
            named.extend(previous.iter().map(ToString::to_string));
        }
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !named.contains(&name) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

/// The file of what runs.
const CURRENT: &str = "current";
/// The file of what ran before it, while that must be confirmed.
const PREVIOUS: &str = "previous";

#[cfg(test)]
mod tests;
