//! The agent's files in its data folder.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context;
use horizon_api::key::SecretKey;
use horizon_node::{data_folder::DataFolder, durable, secret_file};
use serde::{Serialize, de::DeserializeOwned};

use crate::disk;

/// Where the files are.
pub(crate) struct Files {
    account: PathBuf,
    waiting: PathBuf,
    connection: PathBuf,
    key: PathBuf,
    next_key: PathBuf,
}

impl Files {
    pub(crate) fn new(data: &DataFolder) -> Self {
        Self {
            account: data.file("account"),
            waiting: data.file("waiting"),
            connection: data.file("connection"),
            key: data.file("device.key"),
            next_key: data.file("device.key.next"),
        }
    }

    /// Returns this device's key; the first start makes it. Where a rotation got as far as a grant for the next key,
    /// that is this device's.
    pub(crate) fn own_key(&self) -> anyhow::Result<SecretKey> {
        if let (Some(next), Some(account)) = (self.pending_key()?, self.account()?)
            && account.is_for(&next.public())
        {
            self.take_up_key()?;
        }
        Ok(secret_file::node_key(&self.key)?)
    }

    /// Returns the key that is to follow, made where there is none.
    pub(crate) fn next_key(&self) -> anyhow::Result<SecretKey> {
        Ok(secret_file::node_key(&self.next_key)?)
    }

    /// Returns the key that is to follow, while a rotation is not done.
    pub(crate) fn pending_key(&self) -> anyhow::Result<Option<SecretKey>> {
        let seed = secret_file::load(&self.next_key)?;
        Ok(seed.map(|seed| SecretKey::from_seed(&seed)))
    }

    /// Makes the next key this device's, with what was granted to it: after a crash in between, the grant says whose
    /// it is.
    pub(crate) fn store_rotated(&self, account: &disk::Account) -> anyhow::Result<()> {
        self.store_account(account)?;
        self.take_up_key()
    }

    fn take_up_key(&self) -> anyhow::Result<()> {
        let (from, to) = (&self.next_key, &self.key);
        durable::rename(from, to).with_context(|| format!("rename {} to {}", from.display(), to.display()))
    }

    /// Returns the sign-in, if there is one.
    pub(crate) fn account(&self) -> anyhow::Result<Option<disk::Account>> {
        read(&self.account)
    }

    pub(crate) fn store_account(&self, account: &disk::Account) -> anyhow::Result<()> {
        write(&self.account, account)
    }

    /// Forgets the sign-in.
    pub(crate) fn remove_account(&self) -> anyhow::Result<()> {
        remove(&self.account)
    }

    /// Returns where the device waits to be approved, if it does.
    pub(crate) fn waiting(&self) -> anyhow::Result<Option<disk::Home>> {
        read(&self.waiting)
    }

    pub(crate) fn store_waiting(&self, home: &disk::Home) -> anyhow::Result<()> {
        write(&self.waiting, home)
    }

    /// Forgets that the device waits.
    pub(crate) fn remove_waiting(&self) -> anyhow::Result<()> {
        remove(&self.waiting)
    }

    /// Returns what is remembered of links.
    pub(crate) fn connection(&self) -> anyhow::Result<disk::Connection> {
        Ok(read(&self.connection)?.unwrap_or_default())
    }

    pub(crate) fn store_connection(&self, connection: &disk::Connection) -> anyhow::Result<()> {
        write(&self.connection, connection)
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(disk::read(&bytes).with_context(|| format!("read {}", path.display()))?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

fn write<T: Serialize>(path: &Path, content: &T) -> anyhow::Result<()> {
    durable::write(path, &disk::write(content)).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::tests::{granted, key, stored},
        disk::{Connection, Wish},
    };
    use horizon_api::{cbor, section::NetworkId, wire::link::Accept};

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(&folder.path().join("data")).expect("free");
        (folder, Files::new(&data))
    }

    #[test]
    fn what_is_stored_is_read_again_and_nothing_is_no_error() {
        let (_folder, files) = files();
        let account = stored(granted(&key(9).public(), &key(2)));
        let accept = Accept {
            network: NetworkId::new("default", "office"),
            server: "gw-1".into(),
            addresses: vec!["10.77.0.2/24".parse().expect("a prefix")],
            routes: vec!["198.51.100.0/24".parse().expect("a prefix")],
            gateway: vec![],
            mtu: 1380,
            server_time_ms: 1,
            features: vec![],
            is_in_grace: false,
            news_after: None,
        };
        let connection = Connection {
            wish: Some(Wish { server: Some("gw-1".into()), network: None }),
            last: Some(key(4).public()),
            rtts_us: [(key(4).public(), 1_234)].into(),
            accept: Some(accept),
        };

        assert_eq!(files.account().expect("read"), None);
        assert_eq!(files.connection().expect("read"), Connection::default());
        files.store_account(&account).expect("written");
        files.store_connection(&connection).expect("written");

        assert_eq!(files.account().expect("read"), Some(account));
        assert_eq!(files.connection().expect("read"), connection);
        files.remove_account().expect("removed");
        files.remove_account().expect("nothing to remove");
        assert_eq!(files.account().expect("read"), None);
    }

    #[test]
    fn damaged_and_later_files_say_what_to_do() {
        let (_folder, files) = files();
        let said = |bytes: &[u8]| {
            fs::write(&files.account, bytes).expect("written");
            format!("{:#}", files.account().expect_err("unusable"))
        };

        assert!(said(b"junk").contains("is damaged"), "{}", said(b"junk"));
        let later = cbor::encode(&[("version", 2)].into_iter().collect::<std::collections::BTreeMap<_, _>>());
        assert!(said(&later).contains("upgrade the agent"), "{}", said(&later));
    }
}
