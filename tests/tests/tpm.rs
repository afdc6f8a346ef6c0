//! What `horizon-tpm` asks of a TPM, asked of a real one in software.

use std::{env, fs};

use horizon_api::{
    cbor,
    key::SecretKey,
    signed::Signed,
    tpm::{self, AttestationKey, Quote},
    wire::{Attestation, Evidence},
};
use horizon_tests::software_tpm::SoftwareTpm;
use horizon_tpm::{Tpm, TpmError};

/// Nothing where there is no swtpm.
fn software() -> Option<(tempfile::TempDir, SoftwareTpm)> {
    let folder = tempfile::tempdir().expect("a folder");
    SoftwareTpm::is_installed().then(|| {
        let tpm = SoftwareTpm::start(folder.path().join("tpm")).expect("swtpm starts");
        (folder, tpm)
    })
}

fn quote(software: &SoftwareTpm, seed: u8) -> Quote {
    software.open().expect("it answers").quote(&[seed; 32], &[9; 32]).expect("a quote")
}

fn key(quote: &Quote) -> AttestationKey {
    AttestationKey::from_public(&quote.key).expect("a key")
}

#[test]
fn a_tpm_has_one_key_for_each_seed_and_keeps_it_over_a_reset() {
    let Some((_folder, mut software)) = software() else { return };

    let (first, other) = (quote(&software, 1), quote(&software, 2));
    software.reset().unwrap();
    let again = quote(&software, 1);

    assert_eq!(key(&first), key(&again));
    assert_ne!(key(&first), key(&other));
    assert!(first.attest.windows(32).any(|part| part == [9; 32]), "what it is about stands in it");
    assert_eq!(first.pcrs, vec![0; 8 * 32]);
}

#[test]
fn what_was_measured_is_in_the_registers() {
    let Some((_folder, software)) = software() else { return };

    software.measure(4).unwrap();
    let pcrs = quote(&software, 1).pcrs;

    let changed: Vec<_> = pcrs.chunks(32).enumerate().filter(|(_, pcr)| *pcr != [0; 32]).collect();
    assert_eq!(changed.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [4]);
}

/// The controller's own tests read what was recorded here: `UPDATE=1` records it anew, with another key.
#[test]
fn the_recorded_quote_is_of_the_kind_that_a_tpm_makes() {
    let Some((_folder, software)) = software() else { return };
    let path =
        format!("{}/../controller/trust/src/quote/recorded.cbor", env::var("CARGO_MANIFEST_DIR").unwrap());
    let attestation =
        Attestation { exporter: [1; 32], nonce: [2; 32], evidence: Evidence::default(), seal: None };
    let signed = Signed::new(&attestation, &SecretKey::from_seed(&[3; 32]));
    let quote = software.open().unwrap().quote(&[4; 32], &tpm::qualify(&signed)).unwrap();

    if env::var_os("UPDATE").is_some() {
        fs::write(&path, cbor::encode(&(&signed, &quote))).unwrap();
    }
    let (_, recorded): (Signed, Quote) = cbor::decode(&fs::read(&path).unwrap()).unwrap();

    assert_eq!(recorded.attest.len(), quote.attest.len());
    assert_eq!(recorded.attest[..6], quote.attest[..6], "magic and kind");
    assert_eq!(recorded.signature[..4], quote.signature[..4], "scheme and hash");
    assert_eq!((recorded.key.len(), recorded.pcrs.len()), (quote.key.len(), quote.pcrs.len()));
}

#[test]
fn nothing_is_left_behind_in_a_tpm() {
    let Some((_folder, software)) = software() else { return };

    // It has room for three keys at a time.
    for _ in 0..12 {
        quote(&software, 1);
        let sealed = software.open().unwrap().seal(&[5; 32]).unwrap();
        software.open().unwrap().unseal(&sealed).unwrap();
    }
}

#[test]
fn a_secret_is_opened_by_the_tpm_that_sealed_it_and_by_no_other() {
    let (Some((_one, mut software)), Some((_two, other))) = (software(), software()) else { return };
    let sealed = software.open().unwrap().seal(&[5; 32]).unwrap();

    software.reset().unwrap();
    let opened = software.open().unwrap().unseal(&sealed).unwrap();
    let foreign = other.open().unwrap().unseal(&sealed).unwrap_err();
    let own = other.open().unwrap().seal(&[6; 32]).unwrap();

    assert_eq!(*opened, [5; 32]);
    assert!(matches!(foreign, TpmError::Foreign), "{foreign}");
    assert_eq!(*other.open().unwrap().unseal(&own).unwrap(), [6; 32]);
}

#[test]
fn what_is_no_tpm_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();

    let missing = Tpm::open(&folder.path().join("none")).unwrap_err().to_string();
    let file = Tpm::open(&path).unwrap_err().to_string();

    assert!(missing.contains("there is no TPM at") && missing.contains("--tpm PATH"), "{missing}");
    assert!(file.contains("neither a device nor a socket"), "{file}");
}
