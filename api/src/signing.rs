//! What a controller asks of a root key that is kept elsewhere, and the answer: text files that a person carries.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    cbor,
    delegation::{Delegation, Role},
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::{Document, Signed},
};

/// "Let this key act for the root": asked by the key itself, so that nobody has another's key signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningRequest {
    pub root: PublicKey,
    pub online: PublicKey,
    pub roles: Vec<Role>,
    pub epoch: u64,
    pub serial: u64,
    /// The least number that is believed beside it, while it follows the key before it.
    pub floor: u64,
    /// Unix seconds.
    pub made_at: i64,
}

impl Document for SigningRequest {
    const DOMAIN: &'static [u8] = b"hz-signing-request-v1\0";
}

/// The root's two words for one key: the first while the key before it is believed as well, the second when it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    pub opening: Signed,
    pub closing: Signed,
}

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error("it is not a file of `horizon-controller keys {0}`")]
    OtherFile(&'static str),
    #[error("it was altered or cut on its way")]
    Altered,
    #[error("it is for the root {wanted}, and this root key is {found}: it is another controller's")]
    OtherRoot { wanted: RootFingerprint, found: RootFingerprint },
}

const REQUEST: &str = "horizon-key-request-1:";
const ANSWER: &str = "horizon-key-answer-1:";

impl SigningRequest {
    /// Returns the text of a file that asks the root to delegate to this key.
    pub fn to_text(&self, online: &SecretKey) -> String {
        let Self { online: public, epoch, serial, root, .. } = self;
        let about = format!(
            "# A controller asks its root key to sign: `horizon-controller keys sign THIS_FILE --root ROOT_KEY_FILE`\n\
             # root    {}\n# online  {public} (number {serial}, epoch {epoch})\n",
            RootFingerprint::of(root)
        );
        write(&about, REQUEST, &Signed::new(self, online))
    }

    /// Reads the text of such a file. Only what the key signed itself counts, not what the lines say for people.
    ///
    /// # Errors
    /// [`SigningError::OtherFile`] and [`SigningError::Altered`].
    pub fn from_text(text: &str) -> Result<Self, SigningError> {
        let signed: Signed = read(text, REQUEST).ok_or(SigningError::OtherFile("request"))??;
        let claimed: Self = signed.peek().map_err(|_| SigningError::Altered)?;
        signed.verify(&claimed.online).map_err(|_| SigningError::Altered)
    }

    /// Signs what is asked. `not_after` is unix seconds.
    ///
    /// # Errors
    /// [`SigningError::OtherRoot`] when another root is asked.
    pub fn sign(&self, root: &SecretKey, not_after: i64) -> Result<Words, SigningError> {
        if root.public() != self.root {
            let (wanted, found) = (RootFingerprint::of(&self.root), RootFingerprint::of(&root.public()));
            return Err(SigningError::OtherRoot { wanted, found });
        }
        let Self { online, epoch, serial, floor, .. } = *self;
        let word = |floor| {
            let roles = self.roles.clone();
            Delegation { root: self.root, online, roles, epoch, serial, floor, not_after }.sign(root)
        };
        Ok(Words { opening: word(floor.min(serial)), closing: word(serial) })
    }
}

impl Words {
    /// Returns the text of a file that brings them to the controller.
    pub fn to_text(&self) -> String {
        let about = "# The root key has signed: bring this file to the controller, and run there\n\
                     # `horizon-controller keys install THIS_FILE`\n";
        write(about, ANSWER, self)
    }

    /// Reads the text of such a file. Whether the words hold is for the controller to check.
    ///
    /// # Errors
    /// [`SigningError::OtherFile`] and [`SigningError::Altered`].
    pub fn from_text(text: &str) -> Result<Self, SigningError> {
        read(text, ANSWER).ok_or(SigningError::OtherFile("sign"))?
    }
}

fn write<T: Serialize>(about: &str, prefix: &str, content: &T) -> String {
    format!("{about}{prefix}{}\n", STANDARD.encode(cbor::encode(content)))
}

fn read<T: DeserializeOwned>(text: &str, prefix: &str) -> Option<Result<T, SigningError>> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(prefix))?;
    let bytes = STANDARD.decode(line).map_err(|_| SigningError::Altered);
    Some(bytes.and_then(|bytes| cbor::decode(&bytes).map_err(|_| SigningError::Altered)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delegation::{Pin, Trust};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn request() -> SigningRequest {
        SigningRequest {
            root: key(1).public(),
            online: key(3).public(),
            roles: vec![Role::Link, Role::Config, Role::Grant],
            epoch: 2,
            serial: 4,
            floor: 3,
            made_at: 1_000,
        }
    }

    #[test]
    fn what_is_asked_is_signed_and_believed_by_who_pinned_the_root() {
        let asked = SigningRequest::from_text(&request().to_text(&key(3))).expect("whole");
        assert_eq!(asked, request());

        let words = asked.sign(&key(1), 5_000).expect("its root");
        let Words { opening, closing } = Words::from_text(&words.to_text()).expect("whole");

        let pin = Pin::new(RootFingerprint::of(&key(1).public()));
        let floor = |word| Trust::establish(word, &pin, 0).expect("believed").pin().floor;
        assert_eq!((floor(&opening), floor(&closing)), (3, 4));
    }

    #[test]
    fn a_file_that_was_altered_or_is_another_is_refused() {
        let text = request().to_text(&key(3));
        let foreign = request().to_text(&key(9));

        assert!(matches!(SigningRequest::from_text(&foreign), Err(SigningError::Altered)));
        assert!(matches!(SigningRequest::from_text("nothing"), Err(SigningError::OtherFile(_))));
        assert!(matches!(Words::from_text(&text), Err(SigningError::OtherFile(_))));
        let line = text.lines().last().expect("a line");
        for at in REQUEST.len()..line.len() - 1 {
            let mut bytes = line.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).expect("letters");
            assert!(SigningRequest::from_text(&altered).is_err(), "character {at}");
        }
    }

    #[test]
    fn another_root_signs_nothing() {
        assert!(matches!(request().sign(&key(9), 0), Err(SigningError::OtherRoot { .. })));
    }
}
