//! A folder of manifests that a test edits while the controller reads it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

/// A network, a server with a subnet behind it, three people: two of the staff, and a guest whom no policy names.
const OFFICE: [(&str, &str); 4] =
    [("network.yaml", NETWORK), ("server.yaml", SERVER), ("people.yaml", PEOPLE), ("policy.yaml", POLICY)];

pub const NETWORK: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: office}
spec:
  addressPools:
    - cidr: 10.77.0.0/24
    - cidr: fd77:1::/64
  offlineGrace: 1h
";

pub const SERVER: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Server
metadata: {name: gw-1}
spec:
  networkRefs: [{name: office}]
  endpoints: [{host: 192.0.2.1, port: 7444}]
  identity: {registrationKeyRef: {name: gw-1}}
  subnetRoutes: [{cidr: 198.51.100.0/24}]
---
apiVersion: horizon.dev/v1alpha1
kind: RegistrationKey
metadata: {name: gw-1}
spec: {generate: {}}
";

pub const PEOPLE: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: alice}
spec: {groups: [staff]}
---
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: bob}
spec: {groups: [staff]}
---
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: guest}
spec: {}
---
apiVersion: horizon.dev/v1alpha1
kind: PersonalKey
metadata: {name: alice}
spec: {userRef: {name: alice}, networkRefs: [{name: office}], generate: {}}
---
apiVersion: horizon.dev/v1alpha1
kind: PersonalKey
metadata: {name: bob}
spec: {userRef: {name: bob}, networkRefs: [{name: office}], generate: {}}
---
apiVersion: horizon.dev/v1alpha1
kind: PersonalKey
metadata: {name: guest}
spec: {userRef: {name: guest}, networkRefs: [{name: office}], generate: {}}
";

/// The staff reach the gateway and everything behind it.
pub const POLICY: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: staff}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{group: staff}]
  rules:
    - to: [{server: gw-1}]
    - to: [{cidr: 198.51.100.0/24}]
";

/// The staff reach the gateway only.
pub const POLICY_GATEWAY_ONLY: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: staff}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{group: staff}]
  rules:
    - to: [{server: gw-1}]
";

impl Folder {
    /// Makes the folder with the manifests that most tests begin with.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn office(path: PathBuf) -> anyhow::Result<Self> {
        let folder = Self { path };
        fs::create_dir_all(&folder.path)?;
        for (file, text) in OFFICE {
            folder.write(file, text)?;
        }
        Ok(folder)
    }

    /// Makes the folder with copies of all the files of another.
    ///
    /// # Errors
    /// When one of the two cannot be used.
    pub fn copy_of(original: &Path, path: PathBuf) -> anyhow::Result<Self> {
        let folder = Self { path };
        fs::create_dir_all(&folder.path)?;
        let entries = fs::read_dir(original).with_context(|| format!("read {}", original.display()))?;
        for entry in entries {
            let entry = entry?;
            folder.write(&entry.file_name().to_string_lossy(), &fs::read_to_string(entry.path())?)?;
        }
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// When it is not there.
    pub fn read(&self, file: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.path.join(file)).with_context(|| format!("read {file}"))
    }

    /// Replaces a file as editors do: the new one takes the old one's place, whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let draft = self.path.join(format!(".{file}.draft"));
        fs::write(&draft, text)?;
        fs::rename(&draft, self.path.join(file)).with_context(|| format!("write {file}"))
    }

    /// # Errors
    /// When it is not there.
    pub fn remove_all(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.path).context("remove the folder")
    }
}
