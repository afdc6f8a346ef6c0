//! Commands as bytes (TPM 2.0 Library, Part 3). Pure.

use horizon_api::tpm::{ENDORSEMENT, PCR_SELECT, SHA256};
use zeroize::Zeroizing;

use crate::sealed::Sealed;

/// What a primary key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// Of whoever owns the host: what it keeps ends when the TPM is cleared.
    Owner,
    /// Of the TPM itself.
    Endorsement,
}

/// `TPM_RH_OWNER`.
const OWNER: u32 = 0x4000_0001;
/// `TPM_RS_PW`: authorised by a password, which is empty.
const PASSWORD: u32 = 0x4000_0009;

/// The storage key that every host makes alike (TCG "TPM v2.0 Provisioning Guidance" §7.5.1, ECC P-256): restricted and
/// decrypt, noDA, made in the TPM; AES-128 in CFB.
pub(crate) const STORAGE_KEY: &[u8] = &[
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x04, 0x72, 0x00, 0x00, 0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00,
    0x10, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00,
];

/// Data that no TPM made and no other TPM opens: fixedTPM, fixedParent, userWithAuth, noDA.
const SEALED: &[u8] = &[0x00, 0x08, 0x00, 0x0b, 0x00, 0x00, 0x04, 0x52, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00];

pub(crate) fn create_primary(hierarchy: Hierarchy, template: &[u8]) -> Vec<u8> {
    let hierarchy = match hierarchy {
        Hierarchy::Owner => OWNER,
        Hierarchy::Endorsement => ENDORSEMENT,
    };
    // No password, no data; then the template, no outside information, no registers.
    let sensitive: &[u8] = &[0, 4, 0, 0, 0, 0];
    let parameters = [sensitive, &sized(template), &[0, 0], &[0; 4]].concat();
    authorised(0x0131, hierarchy, &parameters)
}

pub(crate) fn read_pcrs() -> Vec<u8> {
    plain(0x017e, &selection())
}

pub(crate) fn quote(key: u32, qualifying: &[u8]) -> Vec<u8> {
    // The scheme is the key's own.
    let parameters = [sized(qualifying), vec![0x00, 0x10], selection()].concat();
    authorised(0x0158, key, &parameters)
}

/// The secret goes to the TPM in it.
pub(crate) fn seal(parent: u32, secret: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let sensitive = Zeroizing::new([&[0, 0][..], &[0, 32], secret].concat());
    let sensitive = Zeroizing::new(sized(&sensitive));
    let parameters = Zeroizing::new([&sensitive[..], &sized(SEALED), &[0, 0], &[0; 4]].concat());
    Zeroizing::new(authorised(0x0153, parent, &parameters))
}

pub(crate) fn load(parent: u32, sealed: &Sealed) -> Vec<u8> {
    authorised(0x0157, parent, &[sized(&sealed.private), sized(&sealed.public)].concat())
}

pub(crate) fn unseal(item: u32) -> Vec<u8> {
    authorised(0x015e, item, &[])
}

pub(crate) fn flush(handle: u32) -> Vec<u8> {
    plain(0x0165, &handle.to_be_bytes())
}

/// The registers of a quote, of the bank of SHA-256 (`TPML_PCR_SELECTION`).
fn selection() -> Vec<u8> {
    [&1u32.to_be_bytes()[..], &SHA256.to_be_bytes(), &[3], &PCR_SELECT].concat()
}

/// Without any session (`TPM_ST_NO_SESSIONS`).
fn plain(code: u32, body: &[u8]) -> Vec<u8> {
    framed(0x8001, code, body)
}

/// With one handle, whose password is empty (`TPM_ST_SESSIONS`).
fn authorised(code: u32, handle: u32, parameters: &[u8]) -> Vec<u8> {
    // The password's handle, no nonce, no attributes, no password: nine bytes.
    let session = [&PASSWORD.to_be_bytes()[..], &[0, 0], &[0], &[0, 0]].concat();
    let body =
        Zeroizing::new([&handle.to_be_bytes()[..], &9u32.to_be_bytes(), &session, parameters].concat());
    framed(0x8002, code, &body)
}

fn framed(tag: u16, code: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(10 + body.len()).expect("a command has some hundred bytes");
    [&tag.to_be_bytes()[..], &size.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let size = u16::try_from(bytes.len()).expect("what is sent has some hundred bytes");
    [&size.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_how_long_it_is() {
        let commands = [
            create_primary(Hierarchy::Owner, STORAGE_KEY),
            read_pcrs(),
            quote(1, &[7; 32]),
            seal(1, &[7; 32]).to_vec(),
            unseal(1),
            flush(1),
        ];

        for command in commands {
            assert_eq!(command[2..6], u32::try_from(command.len()).expect("short").to_be_bytes());
        }
        assert_eq!(flush(0x8000_0001), [0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65, 0x80, 0, 0, 1]);
    }
}
