//! What a server shows, told as it happens.

use std::time::Duration;

use horizon_api::key::SecretKey;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const NOW: i64 = 1_800_000_000_000;

fn server() -> ServerTrust {
    ServerTrust::new(SecretKey::from_seed(&[1; 32]).public(), Some(evidence("a")))
}

fn evidence(binary: &str) -> Evidence {
    Evidence {
        version: "0.1.0".into(),
        binary_hash: binary.into(),
        machine: "m".into(),
        ..Evidence::default()
    }
}

fn revision(revision: u64) -> Version {
    Version { epoch: 1, revision }
}

fn beat(boot: u8, counter: u64) -> Heartbeat {
    Heartbeat { boot_id: [boot; 16], counter, time_ms: NOW, ..Heartbeat::default() }
}

fn arrival(running: Option<u64>) -> Arrival {
    Arrival {
        evidence: evidence("a"),
        quoted: Quoted::Absent,
        remote: HERE,
        running: running.map(revision),
        answers: true,
    }
}

fn verified() -> Verification {
    answered(Quoted::Absent)
}

fn answered(quoted: Quoted) -> Verification {
    let outcome = Outcome::Verified(Box::new(evidence("a")), quoted);
    Verification { outcome, latency: Duration::from_millis(3) }
}

fn silent() -> Verification {
    Verification { outcome: Outcome::Silent, latency: Duration::from_secs(10) }
}

fn kinds(noticed: &Noticed) -> Vec<&'static str> {
    noticed.told.iter().map(Finding::kind).collect()
}

fn restarted(mut server: ServerTrust) -> ServerTrust {
    let Unsaved { record, entries } = server.poll_save().expect("something is to be kept");
    assert_eq!(server.poll_save(), None, "it is kept");
    ServerTrust::read(&record, Log::new(entries)).expect("readable")
}

#[test]
fn an_honest_server_is_never_noticed() {
    let mut server = server();

    let mut noticed = vec![server.handle_arrival(arrival(None), NOW)];
    server.handle_acknowledged(revision(3));
    noticed.extend((1..9).map(|counter| server.handle_heartbeat(&beat(1, counter), HERE, NOW).1));
    noticed.push(server.handle_verification(verified(), NOW));
    noticed.push(server.handle_arrival(arrival(Some(3)), NOW));
    noticed.push(server.handle_heartbeat(&beat(2, 1), THERE, NOW).1);

    assert!(noticed.iter().all(|noticed| *noticed == Noticed::default()), "{noticed:?}");
}

#[test]
fn a_replay_is_not_believed_after_a_restart_of_the_controller_either() {
    let mut server = server();
    assert!(server.handle_heartbeat(&beat(1, 7), HERE, NOW).0);

    let mut server = restarted(server);
    let (is_believed, noticed) = server.handle_heartbeat(&beat(1, 7), HERE, NOW);

    assert!(!is_believed);
    assert_eq!(noticed.told, [Finding::Replayed { counter: 7, highest: 7 }]);
    assert!(noticed.failure.is_some());
}

#[test]
fn two_daemons_of_one_key_are_noticed_across_a_restart_of_the_controller() {
    let mut server = server();
    server.handle_heartbeat(&beat(1, 1), HERE, NOW);
    server.handle_heartbeat(&beat(2, 1), THERE, NOW);

    let mut server = restarted(server);
    let (is_believed, noticed) = server.handle_heartbeat(&beat(1, 2), HERE, NOW);

    assert!(is_believed, "which of them is the right one is for people to say");
    assert_eq!(noticed.told, [Finding::Cloned { here: HERE, there: THERE }]);
    assert!(noticed.failure.is_some());
}

#[test]
fn an_older_configuration_than_the_acknowledged_one_is_noticed() {
    let mut server = server();
    server.handle_acknowledged(revision(9));
    server.handle_acknowledged(revision(5));

    let noticed = restarted(server).handle_arrival(arrival(Some(8)), NOW);

    assert_eq!(noticed.told, [Finding::RolledBack { running: revision(8), acknowledged: revision(9) }]);
    assert!(noticed.failure.is_some());
}

#[test]
fn a_heartbeat_that_was_on_its_way_is_no_rollback_and_two_are() {
    let mut server = server();
    server.handle_acknowledged(revision(9));
    let older = |counter| Heartbeat { running: Some(revision(8)), ..beat(1, counter) };

    let first = server.handle_heartbeat(&older(1), HERE, NOW).1;
    let second = server.handle_heartbeat(&older(2), HERE, NOW).1;
    let third = server.handle_heartbeat(&older(3), HERE, NOW).1;

    assert_eq!(
        [first, second, third].map(|noticed| kinds(&noticed)),
        [vec![], vec!["ConfigurationRolledBack"], vec![]]
    );
}

#[test]
fn a_gateway_without_a_configuration_has_rolled_nothing_back() {
    let mut server = server();
    server.handle_acknowledged(revision(9));

    assert_eq!(server.handle_arrival(arrival(None), NOW), Noticed::default());
}

#[test]
fn a_clock_that_is_off_is_told_once_until_it_is_right_again() {
    let mut server = server();
    let mut counter = 0;
    let mut off = |seconds: i64, at: i64| {
        counter += 1;
        let beat = Heartbeat { time_ms: at + seconds * 1000, ..beat(1, counter) };
        server.handle_heartbeat(&beat, HERE, at).1
    };

    let told = [off(119, NOW), off(121, NOW), off(-500, NOW), off(0, NOW), off(-121, NOW + TELL_AGAIN_MS)];

    let kinds: Vec<_> = told.iter().map(kinds).collect();
    assert_eq!(kinds, [vec![], vec!["ClockSkewed"], vec![], vec![], vec!["ClockSkewed"]]);
    assert!(told.iter().all(|noticed| noticed.failure.is_none()), "a clock is no proof");
}

#[test]
fn no_time_that_a_gateway_may_say_is_too_far_off_to_reckon_with() {
    for time_ms in [i64::MIN, i64::MAX] {
        let (is_believed, noticed) =
            server().handle_heartbeat(&Heartbeat { time_ms, ..beat(1, 1) }, HERE, NOW);

        assert_eq!((is_believed, kinds(&noticed)), (true, vec!["ClockSkewed"]));
    }
}

#[test]
fn silence_fails_the_third_time_in_a_row() {
    let mut server = server();
    let mut failures = Vec::new();
    for verification in [silent(), silent(), verified(), silent(), silent(), silent()] {
        failures.push(server.handle_verification(verification, NOW).failure.is_some());
    }

    assert_eq!(failures, [false, false, false, false, false, true]);
    server.handle_released();
    assert_eq!(server.handle_verification(silent(), NOW).failure, None, "it begins anew");
}

#[test]
fn failures_in_a_row_are_counted_across_a_restart() {
    let mut server = server();
    server.handle_verification(silent(), NOW);
    server.handle_verification(silent(), NOW);

    let noticed = restarted(server).handle_verification(silent(), NOW);

    let failure = noticed.failure.expect("the third");
    assert!(failure.starts_with("3 failures in a row") && failure.contains("within 10 s"), "{failure}");
}

#[test]
fn who_has_answered_and_says_that_it_does_not_is_noticed() {
    let silent_arrival = || Arrival { answers: false, ..arrival(None) };
    let mut older = server();
    assert_eq!(older.handle_arrival(silent_arrival(), NOW), Noticed::default());

    let mut server = server();
    server.handle_verification(verified(), NOW);
    let noticed = server.handle_arrival(silent_arrival(), NOW);

    assert_eq!(noticed.told, [Finding::AnswersNoMore]);
}

#[test]
fn another_program_is_told_once_and_shown_for_as_long_as_it_differs() {
    let mut server = server();
    let other = || Arrival { evidence: evidence("b"), ..arrival(None) };

    let first = server.handle_arrival(other(), NOW);
    let second = server.handle_arrival(other(), NOW + TELL_AGAIN_MS);

    assert_eq!((kinds(&first), second), (vec!["ProgramChanged"], Noticed::default()));
    assert_eq!(first.failure, None);
    assert_eq!(server.view(None).differs, ["another program (0.1.0, bound with 0.1.0)"]);
    server.handle_bound(evidence("b"));
    assert_eq!(server.view(None).differs, [] as [&str; 0]);
}

#[test]
fn the_same_is_told_every_ten_minutes_and_always_counted() {
    let mut server = server();
    let mut told = 0;
    for second in 0..1200 {
        told += server.handle_verification(silent(), NOW + second * 1000).told.len();
    }

    assert_eq!(told, 2);
    assert_eq!(server.view(None).noticed, [("ChallengeUnanswered".to_owned(), 1200)].into());
}

#[test]
fn the_picture_shows_what_was_measured() {
    let mut server = server();
    server.handle_verification(silent(), NOW);
    server.handle_verification(verified(), NOW + 5);
    server.handle_heartbeat(&beat(1, 1), THERE, NOW + 7);

    let view = restarted(server).view(Some("a reason".into()));

    assert_eq!((view.challenges, view.answered, view.failed_total), (2, 1, 1));
    assert_eq!((view.latency_p50_us, view.verified_at), (3000, Some(1_800_000_000_005)));
    assert_eq!(view.failure.map(|failure| failure.at), Some(1_800_000_000_000));
    assert_eq!(view.addresses[0].address, "192.0.2.2");
    assert_eq!(view.quarantine.as_deref(), Some("a reason"));
}

#[test]
fn what_the_store_refused_is_kept_for_the_next_time() {
    let mut server = server();
    server.handle_verification(silent(), NOW);
    let unsaved = server.poll_save().expect("to be kept");
    server.handle_unsaved(unsaved.entries);
    server.handle_verification(verified(), NOW + 1);

    let entries = server.poll_save().expect("to be kept").entries;

    assert_eq!(entries.iter().map(|entry| entry.at_ms).collect::<Vec<_>>(), [NOW, NOW + 1]);
}

mod tpm {
    //! The TPM of a server's host.

    use horizon_api::tpm::AttestationKey;

    use super::*;
    use crate::quote::{QuoteError, tests::facts};

    fn genuine(change: impl FnOnce(&mut crate::quote::Facts)) -> Quoted {
        let mut facts = facts();
        change(&mut facts);
        Quoted::Genuine(Box::new(facts))
    }

    fn another_key() -> Quoted {
        genuine(|facts| {
            facts.key = AttestationKey::from_public(&AttestationKey::template(&[9; 32])).expect("a key");
        })
    }

    /// A server whose TPM was seen.
    fn pinned() -> ServerTrust {
        let mut server = server();
        let arrival = Arrival { quoted: genuine(|_| ()), ..arrival(None) };
        let noticed = server.handle_arrival(arrival, NOW);
        assert_eq!((kinds(&noticed), noticed.failure), (vec!["TpmSeen"], None));
        server
    }

    fn level(server: &ServerTrust) -> EvidenceLevel {
        server.view(None).level
    }

    #[test]
    fn a_level_is_what_was_shown_last() {
        let mut server = server();
        assert_eq!(level(&server), EvidenceLevel::SelfReported);
        let sealed = Evidence { is_key_sealed: true, ..evidence("a") };
        server.handle_arrival(Arrival { evidence: sealed, ..arrival(None) }, NOW);
        assert_eq!(level(&server), EvidenceLevel::SealedKey);

        server.handle_verification(answered(genuine(|_| ())), NOW);
        assert_eq!(level(&server), EvidenceLevel::TpmQuote);
        assert_eq!(level(&restarted(server.clone())), EvidenceLevel::TpmQuote);
        server.handle_verification(answered(Quoted::Absent), NOW);

        assert_eq!(level(&server), EvidenceLevel::SelfReported);
        let tpm = server.report(None, 1).tpm.expect("it is known all the same");
        assert!(!tpm.is_shown && tpm.resets == 1 && tpm.since == 1_800_000_000_000, "{tpm:?}");
    }

    #[test]
    fn a_quote_that_is_missing_where_there_was_one_is_no_good_answer() {
        let mut server = restarted(pinned());
        let mut noticed = Vec::new();
        for _ in 0..3 {
            noticed.push(server.handle_verification(answered(Quoted::Absent), NOW));
        }

        assert_eq!(noticed.iter().map(kinds).collect::<Vec<_>>(), [vec!["QuoteMissing"], vec![], vec![]]);
        let failed: Vec<_> = noticed.iter().map(|noticed| noticed.failure.is_some()).collect();
        assert_eq!(failed, [false, false, true]);
        let report = server.report(None, 1);
        assert_eq!((report.trust.answered, report.trust.failed_total), (0, 3));
        assert!(report.challenges[0].failure.contains("shows no quote"), "{report:?}");
    }

    #[test]
    fn another_tpm_fails_at_once_and_never_becomes_the_servers_own() {
        let mut server = pinned();

        let noticed = server.handle_arrival(Arrival { quoted: another_key(), ..arrival(None) }, NOW);
        assert_eq!(kinds(&noticed), ["TpmReplaced"]);
        assert!(noticed.failure.is_some_and(|reason| reason.contains("another TPM")));
        server.handle_released();
        let again = server.handle_verification(answered(another_key()), NOW);

        assert!(again.failure.is_some());
        assert_eq!(server.handle_verification(answered(genuine(|_| ())), NOW), Noticed::default());
        assert_eq!(level(&server), EvidenceLevel::TpmQuote);
    }

    #[test]
    fn a_host_that_joins_again_may_have_another_tpm_or_none() {
        for quoted in [another_key(), Quoted::Absent] {
            let mut server = pinned();
            server.handle_bound(evidence("a"));

            assert_eq!(server.handle_verification(answered(quoted), NOW).failure, None);
        }
    }

    #[test]
    fn a_host_that_was_started_with_something_else_is_noticed_once_and_accepted_by_a_release() {
        let mut server = pinned();
        let updated = || {
            answered(genuine(|facts| {
                facts.state.clock.resets += 1;
                facts.state.pcrs[0] = [1; 32];
                facts.state.pcrs[4] = [1; 32];
            }))
        };

        let noticed = server.handle_verification(updated(), NOW);

        assert_eq!(kinds(&noticed), ["PlatformChanged"]);
        assert!(noticed.failure.is_some_and(|reason| reason.contains("PCR 0, 4")));
        let mut server = restarted(server);
        assert_eq!(server.handle_verification(updated(), NOW), Noticed::default());
        assert_eq!(server.view(None).differs, ["another state of the host by PCR 0, 4"]);
        server.handle_released();
        assert_eq!(server.view(None).differs, [] as [&str; 0]);
    }

    #[test]
    fn a_tpm_that_counts_less_than_before_was_put_back() {
        let later = |resets, restarts, on_ms| {
            genuine(|facts| {
                let clock = &mut facts.state.clock;
                (clock.resets, clock.restarts, clock.on_ms) = (resets, restarts, on_ms);
            })
        };
        let mut server = pinned();
        let mut is_put_back =
            |quoted| kinds(&server.handle_verification(answered(quoted), NOW)) == ["TpmWentBack"];

        assert!(!is_put_back(later(5, 2, 1000)));
        assert!(!is_put_back(later(5, 2, 1000)), "two quotes of one moment");
        assert!(!is_put_back(later(6, 0, 900)), "the power went");
        assert!(!is_put_back(later(6, 1, 950)));
        assert!(is_put_back(later(6, 1, 940)));
        server.handle_released();
        let mut is_put_back =
            |quoted| kinds(&server.handle_verification(answered(quoted), NOW)) == ["TpmWentBack"];
        assert!(is_put_back(later(5, 7, 2000)));
    }

    #[test]
    fn a_quote_that_was_never_good_is_told_and_holds_nobody() {
        let wrong = || Quoted::Wrong(QuoteError::Signature);
        let mut first = server();
        let noticed = first.handle_verification(answered(wrong()), NOW);

        assert_eq!((kinds(&noticed), noticed.failure), (vec!["QuoteWrong"], None));
        assert_eq!(first.view(None).answered, 1);
        let noticed = pinned().handle_verification(answered(wrong()), NOW);
        assert!(noticed.failure.is_some_and(|reason| reason.contains("not signed by its key")));
    }
}
