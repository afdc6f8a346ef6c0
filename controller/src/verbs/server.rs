//! What `status Server/NAME` says of how far a server is believed.

use std::fmt::Write;

use horizon_api::{
    http::{ServerReport, TpmView, TrustView},
    problem::printable,
};

use super::guard::moment;

/// Challenges that are listed one by one.
const LISTED: usize = 5;

/// Returns its lines.
pub(super) fn text(report: &ServerReport) -> String {
    let ServerReport { trust, challenges, .. } = report;
    let mut text = String::new();
    // Writing into a String cannot fail.
    if let Some(reason) = &trust.quarantine {
        let _ = writeln!(text, "quarantine  {}; `horizon-controller release` ends it", printable(reason));
    }
    let _ = writeln!(text, "evidence    {}", trust.level.sentence());
    tpm(&mut text, report);
    evidence(&mut text, trust);
    let _ = writeln!(text, "verified    {}", verified(trust));
    for challenge in challenges.iter().take(LISTED) {
        let ms = milliseconds(challenge.latency_us);
        let word = match challenge.failure.as_str() {
            "" => format!("answered in {ms}"),
            failure => format!("failed after {ms}: {}", printable(failure)),
        };
        let _ = writeln!(text, "challenge   {} {word}", moment(challenge.at));
    }
    for address in &trust.addresses {
        let (first, last) = (moment(address.first_seen), moment(address.last_seen));
        let _ = writeln!(text, "address     {} from {first} to {last}", address.address);
    }
    for (kind, count) in &trust.noticed {
        let _ = writeln!(text, "noticed     {kind} {count} times");
    }
    text
}

fn tpm(text: &mut String, report: &ServerReport) {
    if report.is_key_sealed {
        let _ = writeln!(text, "key         sealed to a TPM (stated by the host)");
    }
    let Some(TpmView { key, since, resets, is_shown }) = &report.tpm else { return };
    let word = match is_shown {
        true => format!("{resets} resets"),
        false => "and what came last shows no quote of it".to_owned(),
    };
    let _ = writeln!(text, "tpm         {} since {}, {word}", printable(key), moment(*since));
}

fn evidence(text: &mut String, trust: &TrustView) {
    let Some(evidence) = &trust.evidence else { return };
    let words = [
        ("version", &evidence.version),
        ("host name", &evidence.hostname),
        ("kernel", &evidence.kernel),
        ("boot of the host", &evidence.host_boot),
        ("program", &evidence.binary_hash),
        ("machine id", &evidence.machine),
        ("hardware", &evidence.hardware),
    ];
    for (name, word) in words.into_iter().filter(|(_, word)| !word.is_empty()) {
        let _ = writeln!(text, "  {name}: {}", printable(word));
    }
    for difference in &trust.differs {
        let _ = writeln!(text, "  not as it was bound: {}", printable(difference));
    }
}

fn verified(trust: &TrustView) -> String {
    let when = match trust.verified_at {
        Some(at) => format!("last at {}", moment(at)),
        None => "never".to_owned(),
    };
    if trust.challenges == 0 {
        return format!("{when}; no challenge is in the log");
    }
    let TrustView { challenges, answered, .. } = trust;
    let (median, slowest) = (milliseconds(trust.latency_p50_us), milliseconds(trust.latency_max_us));
    format!(
        "{when}; {answered} of {challenges} challenges answered, in {median} at the median and {slowest} at most"
    )
}

fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use horizon_api::http::{AddressView, ChallengeView, EvidenceView};

    use super::*;

    #[test]
    fn a_server_is_told_in_plain_words() {
        let trust = TrustView {
            evidence: Some(EvidenceView { kernel: "6.1".into(), ..EvidenceView::default() }),
            differs: vec!["another hardware".into()],
            verified_at: Some(0),
            challenges: 3,
            answered: 2,
            latency_p50_us: 2_340,
            latency_max_us: 9_000,
            addresses: vec![AddressView { address: "192.0.2.1".into(), first_seen: 0, last_seen: 1000 }],
            noticed: [("ServerCloned".to_owned(), 2)].into(),
            quarantine: Some("a clone".into()),
            ..TrustView::default()
        };
        let failed = ChallengeView { at: 0, latency_us: 10_000_000, failure: "silent".into() };

        let said = text(&ServerReport {
            trust,
            challenges: vec![failed],
            is_key_sealed: true,
            tpm: Some(TpmView { key: "0123".into(), since: 0, resets: 4, is_shown: true }),
        });

        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [
                "quarantine  a clone; `horizon-controller release` ends it",
                "evidence    self-reported: finds accidents and clones, proves nothing against root on the host",
                "key         sealed to a TPM (stated by the host)",
                "tpm         0123 since 1970-01-01T00:00:00Z, 4 resets",
                "  kernel: 6.1",
                "  not as it was bound: another hardware",
                "verified    last at 1970-01-01T00:00:00Z; 2 of 3 challenges answered, in 2.3 ms at the median and 9.0 ms at most",
                "challenge   1970-01-01T00:00:00Z failed after 10000.0 ms: silent",
                "address     192.0.2.1 from 1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z",
                "noticed     ServerCloned 2 times",
            ]
        );
    }
}
