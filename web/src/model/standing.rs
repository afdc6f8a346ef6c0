//! How an object stands, as a word and a tone, and what the tiles add up.

use horizon_api::{
    http::{DeviceView, EventSeverity, ServerView},
    problem::Severity,
};

use super::{object::Fact, quantity::rate};

/// The colour of a badge. The word beside it says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Quiet,
    Warning,
    Bad,
}

impl Tone {
    /// Returns the class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Quiet => "badge quiet",
            Self::Warning => "badge warning",
            Self::Bad => "badge bad",
        }
    }
}

/// Returns the badge of a server.
pub fn of_server(server: &ServerView) -> (Tone, &'static str) {
    match server {
        server if server.trust.quarantine.is_some() => (Tone::Bad, "Quarantined"),
        ServerView { ready: true, .. } => (Tone::Good, "Ready"),
        ServerView { enrolled: false, .. } => (Tone::Quiet, "Not enrolled"),
        ServerView { connected: false, .. } => (Tone::Bad, "Away"),
        ServerView { .. } => (Tone::Warning, "Not ready"),
    }
}

/// Returns the badge of a device.
pub fn of_device(device: &DeviceView) -> (Tone, &'static str) {
    match device {
        DeviceView { awaits_approval: true, .. } => (Tone::Bad, "Waits"),
        DeviceView { connected: true, .. } => (Tone::Good, "Connected"),
        DeviceView { .. } => (Tone::Quiet, "Offline"),
    }
}

/// Returns the badge of a problem.
pub fn of_problem(severity: Severity) -> (Tone, &'static str) {
    match severity {
        Severity::Error => (Tone::Bad, "Error"),
        Severity::Warning => (Tone::Warning, "Warning"),
        Severity::Info => (Tone::Quiet, "Remark"),
    }
}

/// Returns the badge of an object that is as it was, whatever its text says.
pub fn of_last_good() -> (Tone, &'static str) {
    (Tone::Warning, "Last good")
}

/// Returns the badge of a condition. Some say that something is wrong by being true.
pub fn of_condition(fact: &Fact) -> (Tone, &'static str) {
    const WRONG: [&str; 5] = ["Conflicted", "Held", "Reconciling", "Stale", "Stalled"];
    let is_wrong = WRONG.contains(&fact.kind.as_str());
    match fact.status.as_str() {
        "True" if is_wrong => (Tone::Warning, "Yes"),
        "True" => (Tone::Good, "Yes"),
        "False" if is_wrong => (Tone::Good, "No"),
        "False" => (Tone::Bad, "No"),
        _ => (Tone::Quiet, "Unknown"),
    }
}

/// Returns the badge of what happened to an object.
pub fn of_happening(is_warning: bool) -> (Tone, &'static str) {
    if is_warning { (Tone::Warning, "Warning") } else { (Tone::Quiet, "Normal") }
}

/// Returns the badge of a security event.
pub fn of_event(severity: EventSeverity) -> (Tone, &'static str) {
    match severity {
        EventSeverity::Informational => (Tone::Quiet, "Info"),
        EventSeverity::Low => (Tone::Quiet, "Low"),
        EventSeverity::Medium => (Tone::Warning, "Medium"),
        EventSeverity::High => (Tone::Bad, "High"),
        EventSeverity::Critical => (Tone::Bad, "Critical"),
    }
}

/// Returns the revision that a server runs, and which one it should.
pub fn revision(server: &ServerView) -> String {
    match server {
        ServerView { applied_revision, desired_revision, .. } if applied_revision == desired_revision => {
            applied_revision.to_string()
        }
        ServerView { applied_revision: 0, desired_revision, .. } => format!("none → {desired_revision}"),
        ServerView { applied_revision, desired_revision, .. } => {
            format!("{applied_revision} → {desired_revision}")
        }
    }
}

/// Returns whose a device is.
pub fn owner(device: &DeviceView) -> String {
    if device.user.is_empty() { "nobody".to_owned() } else { device.user.clone() }
}

/// Returns what a device says of itself, which nobody has checked.
pub fn posture(device: &DeviceView) -> String {
    if device.posture.is_empty() { String::new() } else { format!("self-reported: {}", device.posture) }
}

/// Returns where a device is connected.
pub fn place(device: &DeviceView) -> String {
    match &device.server {
        Some(server) if device.connected => server.clone(),
        Some(_) | None => "–".to_owned(),
    }
}

/// Returns what secures a device's link: key exchange and cipher suite.
pub fn suite(device: &DeviceView) -> String {
    let parts = [device.key_exchange.as_str(), device.cipher.trim_start_matches("TLS13_")];
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(", ")
}

/// Returns what all servers carry, received and sent.
pub fn traffic(servers: &[ServerView]) -> (String, String) {
    let sum = |rate_of: fn(&ServerView) -> f64| servers.iter().map(rate_of).sum::<f64>();
    (rate(sum(|server| server.rx_bps)), rate(sum(|server| server.tx_bps)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badge_says_the_first_thing_that_is_missing() {
        let mut server = ServerView::default();
        let check = |server: &ServerView, word| assert_eq!(of_server(server).1, word);

        check(&server, "Not enrolled");
        server.enrolled = true;
        check(&server, "Away");
        server.connected = true;
        check(&server, "Not ready");
        server.ready = true;
        check(&server, "Ready");
        server.trust.quarantine = Some("a clone".into());
        check(&server, "Quarantined");
    }

    #[test]
    fn revision_shows_the_way_to_go() {
        let check = |applied_revision, desired_revision, expected: &str| {
            let server = ServerView { applied_revision, desired_revision, ..ServerView::default() };
            assert_eq!(revision(&server), expected);
        };

        check(4, 4, "4");
        check(3, 4, "3 → 4");
        check(0, 4, "none → 4");
    }

    #[test]
    fn what_is_wrong_by_being_true_is_no_good_news() {
        let badge = |kind: &str, status: &str| {
            let [reason, message, since] = [const { String::new() }; 3];
            of_condition(&Fact { kind: kind.into(), status: status.into(), reason, message, since })
        };

        assert_eq!(badge("Ready", "True"), (Tone::Good, "Yes"));
        assert_eq!(badge("Ready", "False"), (Tone::Bad, "No"));
        assert_eq!(badge("Ready", "Unknown"), (Tone::Quiet, "Unknown"));
        assert_eq!(badge("Held", "True"), (Tone::Warning, "Yes"));
        assert_eq!(badge("Stale", "False"), (Tone::Good, "No"));
    }

    #[test]
    fn device_that_waits_is_somebodys_business_first() {
        let mut device = DeviceView::default();
        let check = |device: &DeviceView, word| assert_eq!(of_device(device).1, word);

        check(&device, "Offline");
        device.connected = true;
        check(&device, "Connected");
        device.awaits_approval = true;
        check(&device, "Waits");
        assert_eq!((owner(&device).as_str(), posture(&device).as_str()), ("nobody", ""));
        device.posture = "debian 12".into();
        assert_eq!(posture(&device), "self-reported: debian 12");
    }

    #[test]
    fn offline_device_is_nowhere() {
        let mut device = DeviceView { server: Some("fra-1".into()), ..DeviceView::default() };
        assert_eq!(place(&device), "–");

        device.connected = true;

        assert_eq!(place(&device), "fra-1");
    }

    #[test]
    fn traffic_adds_up() {
        let server = ServerView { rx_bps: 1e6, tx_bps: 2e6, ..ServerView::default() };

        assert_eq!(traffic(&[]), ("0 bit/s".into(), "0 bit/s".into()));
        assert_eq!(traffic(&[server.clone(), server]), ("2.0 Mbit/s".into(), "4.0 Mbit/s".into()));
    }
}
