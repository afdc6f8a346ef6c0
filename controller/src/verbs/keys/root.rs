//! What is done with the root key's file, without a controller: sign what one asks, copy it, take it away.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use horizon_api::{
    key::{RootFingerprint, SecretKey},
    signing::SigningRequest,
};
use horizon_node::{clock, durable, failure::Failure, secret_file};

use super::say;
use crate::{
    args::{KeysRootCommand, KeysSignArgs},
    identity::{LIFE_S, ROOT},
    verbs::guard::moment,
};

/// Signs a request, and says what is signed.
pub(super) fn sign(args: &KeysSignArgs) -> anyhow::Result<()> {
    let path = args.request.display();
    let text = fs::read_to_string(&args.request)
        .map_err(|error| Failure::Usage(format!("cannot read {path}: {error}")))?;
    let request =
        SigningRequest::from_text(&text).map_err(|error| Failure::Refused(format!("{path}: {error}")))?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.signed", args.request.display())));
    check_free(&out)?;
    let root = load(&args.root)?;
    let not_after = clock::unix_s() + LIFE_S;
    let words =
        request.sign(&root, not_after).map_err(|error| Failure::Refused(format!("{path}: {error}")))?;
    say(&format!("root        {}", RootFingerprint::of(&request.root)));
    say(&format!("online      {} (number {}, epoch {})", request.online, request.serial, request.epoch));
    say(&format!("asked at    {}", at(request.made_at)));
    say(&format!("may         {}, until {}", roles(&request), at(not_after)));
    write(&out, words.to_text().as_bytes())?;
    say(&format!("signed; bring {} to the controller: `horizon-controller keys install`", out.display()));
    Ok(())
}

/// Copies the root key, or takes it away.
pub(super) fn root(command: KeysRootCommand) -> anyhow::Result<()> {
    match command {
        KeysRootCommand::Export(args) => {
            let path = args.data.folder.join(ROOT);
            let root = load(&path)?;
            check_free(&args.file)?;
            write(&args.file, &root.seed()[..])?;
            let (copy, root) = (args.file.display(), path.display());
            say(&format!(
                "copied to {copy}; keep it offline, and run `horizon-controller keys root remove --copy {copy}` to take {root} away"
            ));
        }
        KeysRootCommand::Remove(args) => {
            let path = args.data.folder.join(ROOT);
            let root = load(&path)?;
            let copy = load(&args.copy)?;
            let is_apart = is_apart(&args.copy, &path).map_err(|error| {
                let (copy, root) = (args.copy.display(), path.display());
                Failure::Failed(format!(
                    "cannot see where {copy} and {root} are: {error}; nothing was removed"
                ))
            })?;
            if copy.public() != root.public() || !is_apart {
                let (copy, root) = (args.copy.display(), path.display());
                let text = format!(
                    "{copy} is no copy of {root} in another folder; nothing was removed; make one with `horizon-controller keys root export FILE`"
                );
                return Err(Failure::Refused(text).into());
            }
            durable::remove(&path)
                .map_err(|error| Failure::Failed(format!("remove {}: {error}", path.display())))?;
            say(&format!(
                "{} is removed; the controller goes on, and its next online key is asked for with `horizon-controller keys request`",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Says whether a file is another one than the root key's, in another folder than that: what is removed is not the copy.
/// A name may be relative to where this runs, or a link.
fn is_apart(copy: &Path, root: &Path) -> io::Result<bool> {
    let is_same = |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    let [copy, root] = [fs::canonicalize(copy)?, fs::canonicalize(root)?];
    let folder = |file: &Path| {
        let folder = file.parent().ok_or_else(|| io::Error::other("a file needs a folder"))?;
        fs::metadata(folder)
    };
    let is_same_folder = is_same(&folder(&copy)?, &folder(&root)?);
    Ok(!is_same_folder && !is_same(&fs::metadata(&copy)?, &fs::metadata(&root)?))
}

/// Nothing is overwritten: what is there may be the only copy of something.
pub(super) fn check_free(file: &Path) -> anyhow::Result<()> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(Failure::Usage(format!("{} is there already; name another file", file.display())).into());
    }
    Ok(())
}

pub(super) fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let file = std::path::absolute(file)?;
    durable::write(&file, bytes)
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", file.display())))?;
    Ok(())
}

fn load(path: &Path) -> anyhow::Result<SecretKey> {
    let seed = secret_file::load(path).map_err(|error| Failure::Failed(error.to_string()))?;
    let seed = seed.ok_or_else(|| Failure::Usage(format!("there is no {}", path.display())))?;
    Ok(SecretKey::from_seed(&seed))
}

fn roles(request: &SigningRequest) -> String {
    request.roles.iter().map(|role| format!("{role:?}")).collect::<Vec<_>>().join(", ")
}

fn at(unix_s: i64) -> String {
    moment(u64::try_from(unix_s.saturating_mul(1000)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::args::{DataArgs, KeysRootRemoveArgs};

    #[test]
    fn only_a_copy_elsewhere_lets_the_root_key_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let remove = |copy: PathBuf| {
            let data = DataArgs { folder: place("data") };
            root(KeysRootCommand::Remove(KeysRootRemoveArgs { data, copy }))
        };
        for name in ["data", "vault"] {
            fs::create_dir(place(name)).unwrap();
        }
        let (own, copy) = (place("data/root.key"), place("vault/root.key"));
        durable::write(&own, &[1; 32]).unwrap();
        fs::copy(&own, place("data/copy")).unwrap();
        fs::hard_link(&own, place("vault/hard")).unwrap();
        symlink(&own, place("vault/soft")).unwrap();
        symlink(place("data"), place("vault/data")).unwrap();
        durable::write(&place("vault/other"), &[2; 32]).unwrap();

        for name in ["data/root.key", "data/copy", "vault/hard", "vault/data/copy", "vault/other"] {
            let refused = remove(place(name)).unwrap_err();
            assert!(refused.to_string().contains("nothing was removed"), "{name}: {refused:#}");
            assert!(own.exists(), "{name}");
        }
        assert!(remove(place("vault/soft")).is_err() && own.exists(), "a link is no copy");
        fs::copy(&own, &copy).unwrap();
        remove(copy).unwrap();

        assert!(!own.exists());
    }
}
