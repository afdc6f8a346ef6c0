//! A quote of a real TPM in software (swtpm), recorded by `UPDATE=1` and the tests of `horizon-tpm`.

use horizon_api::{
    cbor,
    key::SecretKey,
    wire::{Attestation, Evidence},
};

use super::*;

fn recorded() -> (Signed, Quote) {
    cbor::decode(include_bytes!("recorded.cbor")).expect("recorded")
}

/// What a genuine quote says.
pub(crate) fn facts() -> Facts {
    let (attestation, quote) = recorded();
    let quoted = check(Some(&quote), &attestation);
    let Quoted::Genuine(facts) = quoted else { panic!("{quoted:?}") };
    *facts
}

fn wrong(quote: &Quote, attestation: &Signed) -> QuoteError {
    let quoted = check(Some(quote), attestation);
    let Quoted::Wrong(error) = quoted else { panic!("{quoted:?}") };
    error
}

#[test]
fn a_quote_of_a_real_tpm_is_genuine() {
    let Facts { key, state } = facts();

    assert_eq!(key.short().len(), 16);
    assert_eq!(state.pcrs, [[0; 32]; PCR_COUNT], "nothing measures into a TPM in software that has no host");
    assert_eq!((state.clock.resets, state.clock.restarts), (1, 0));
    assert_eq!(check(None, &recorded().0), Quoted::Absent);
}

#[test]
fn no_byte_of_a_quote_can_be_altered() {
    let (attestation, genuine) = recorded();
    let mut altered = 0;
    let parts: [fn(&mut Quote) -> &mut Vec<u8>; 4] = [
        |quote| &mut quote.key,
        |quote| &mut quote.attest,
        |quote| &mut quote.signature,
        |quote| &mut quote.pcrs,
    ];

    for part in parts {
        for place in 0..part(&mut genuine.clone()).len() {
            for bit in 0..8 {
                let mut quote = genuine.clone();
                part(&mut quote)[place] ^= 1 << bit;
                wrong(&quote, &attestation);
                altered += 1;
            }
        }
        let mut shorter = genuine.clone();
        part(&mut shorter).pop();
        wrong(&shorter, &attestation);
        let mut longer = genuine.clone();
        part(&mut longer).push(0);
        wrong(&longer, &attestation);
    }

    assert!(altered > 8 * 500, "{altered}");
}

#[test]
fn a_quote_is_about_one_attestation() {
    let (_, quote) = recorded();
    let other = |nonce, seed: u8| {
        let attestation = Attestation { exporter: [1; 32], nonce, evidence: Evidence::default(), seal: None };
        Signed::new(&attestation, &SecretKey::from_seed(&[seed; 32]))
    };

    assert_eq!(wrong(&quote, &other([9; 32], 3)), QuoteError::Qualification);
    let evidence = Evidence { version: "2".into(), ..Evidence::default() };
    let said = Attestation { exporter: [1; 32], nonce: [2; 32], evidence, seal: None };
    assert_eq!(
        wrong(&quote, &Signed::new(&said, &SecretKey::from_seed(&[3; 32]))),
        QuoteError::Qualification
    );
}

#[test]
fn what_is_wrong_is_said() {
    let (attestation, genuine) = recorded();
    let alter = |alter: fn(&mut Quote)| {
        let mut quote = genuine.clone();
        alter(&mut quote);
        wrong(&quote, &attestation)
    };

    assert_eq!(alter(|quote| quote.attest[0] = 0), QuoteError::Signature);
    assert_eq!(alter(|quote| quote.pcrs[0] = 1), QuoteError::Registers);
    assert_eq!(alter(|quote| quote.key[7] = 0), QuoteError::Key(AttestationKeyError::Kind));
    assert!(matches!(alter(|quote| quote.signature.clear()), QuoteError::Malformed(_)));
}
