//! The primitives of aws-lc-rs, as `snow` asks for them. Randomness is a seed that the caller gave.

use aws_lc_rs::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement, digest,
};
use horizon_api::card::SealKey;
use snow::{
    Error,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types::{Cipher, Dh, Hash, Random},
};
use zeroize::Zeroizing;

/// Returns the public half of a device's X25519 key.
pub fn public_key(secret: &[u8; 32]) -> SealKey {
    let mut key = X25519::default();
    key.set(secret);
    SealKey(key.public)
}

/// Makes the parts of one handshake.
pub(crate) struct Resolver {
    pub(crate) seed: Zeroizing<[u8; 32]>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Seed(Some(self.seed.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::<X25519>::default() as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::<Sha256>::default() as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let kind = match choice {
            CipherChoice::AESGCM => Kind::AesGcm,
            CipherChoice::ChaChaPoly => Kind::ChaChaPoly,
        };
        Some(Box::new(Aead { kind, key: None }))
    }
}

/// One handshake makes one ephemeral key; whoever asks for more randomness gets none.
struct Seed(Option<Zeroizing<[u8; 32]>>);

impl Random for Seed {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let seed = self.0.take().filter(|seed| seed.len() == bytes.len()).ok_or(Error::Rng)?;
        bytes.copy_from_slice(&seed[..]);
        Ok(())
    }
}

#[derive(Default)]
struct X25519 {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl X25519 {
    fn key(&self) -> agreement::PrivateKey {
        agreement::PrivateKey::from_private_key(&agreement::X25519, &self.secret[..])
            .expect("any 32 bytes are an X25519 key (RFC 7748 §5)")
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        self.secret.copy_from_slice(secret);
        let public = self.key().compute_public_key().expect("every X25519 key has a public half");
        self.public.copy_from_slice(public.as_ref());
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        let mut secret = Zeroizing::new([0; 32]);
        random.try_fill_bytes(&mut secret[..])?;
        self.set(&secret[..]);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.secret[..]
    }

    /// A point of small order gives zero, which is refused.
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = public.get(..32).ok_or(Error::Dh)?;
        let public = agreement::UnparsedPublicKey::new(&agreement::X25519, public);
        let shared = agreement::agree(&self.key(), public, Error::Dh, |shared| {
            <[u8; 32]>::try_from(shared).map(Zeroizing::new).map_err(|_| Error::Dh)
        })?;
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(&shared[..]);
        Ok(())
    }
}

struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(self.0.clone().finish().as_ref());
    }
}

#[derive(Clone, Copy)]
enum Kind {
    AesGcm,
    ChaChaPoly,
}

struct Aead {
    kind: Kind,
    key: Option<LessSafeKey>,
}

impl Aead {
    fn key(&self) -> &LessSafeKey {
        self.key.as_ref().expect("snow uses no cipher before its key is set")
    }

    /// The counter's place and order are the framework's (§12.3, §12.4).
    fn nonce(&self, counter: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&match self.kind {
            Kind::AesGcm => counter.to_be_bytes(),
            Kind::ChaChaPoly => counter.to_le_bytes(),
        });
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Cipher for Aead {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::AesGcm => "AESGCM",
            Kind::ChaChaPoly => "ChaChaPoly",
        }
    }

    fn set(&mut self, key: &[u8; 32]) {
        let algorithm = match self.kind {
            Kind::AesGcm => &aead::AES_256_GCM,
            Kind::ChaChaPoly => &aead::CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).expect("both ciphers have keys of 32 bytes");
        self.key = Some(LessSafeKey::new(key));
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        let (sealed, rest) = out.split_at_mut(plain.len());
        sealed.copy_from_slice(plain);
        let tag = self.key().seal_in_place_separate_tag(self.nonce(nonce), Aad::from(authtext), sealed);
        let tag = tag.expect("what is sealed is far below the limits of both ciphers");
        rest[..16].copy_from_slice(tag.as_ref());
        plain.len() + 16
    }

    fn decrypt(&self, nonce: u64, authtext: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (sealed, tag) = sealed.split_at_checked(sealed.len().wrapping_sub(16)).ok_or(Error::Decrypt)?;
        let plain = out.get_mut(..sealed.len()).ok_or(Error::Decrypt)?;
        self.key()
            .open_separate_gather(self.nonce(nonce), Aad::from(authtext), sealed, tag, plain)
            .map_err(|_| Error::Decrypt)?;
        Ok(sealed.len())
    }
}
