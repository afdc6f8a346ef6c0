//! How far a server is believed, in words.

use horizon_api::http::TrustView;

use super::age::ago;

/// Returns when a server proved its key last, and how well it does so.
pub fn verified(now: u64, trust: &TrustView) -> String {
    let TrustView { challenges, answered, .. } = trust;
    let when = match trust.verified_at {
        Some(at) => format!("verified {}", ago(now, at)),
        None => "never verified".to_owned(),
    };
    if *challenges == 0 {
        return when;
    }
    let median = milliseconds(trust.latency_p50_us);
    format!("{when}, {answered} of {challenges} challenges answered, {median} at the median")
}

/// Returns microseconds as people read them.
pub fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_when_and_how_well() {
        let mut trust = TrustView::default();
        assert_eq!(verified(60_000, &trust), "never verified");

        trust.verified_at = Some(50_000);
        assert_eq!(verified(60_000, &trust), "verified 10 s ago");
        (trust.challenges, trust.answered, trust.latency_p50_us) = (9, 8, 2_340);

        let line = "verified 10 s ago, 8 of 9 challenges answered, 2.3 ms at the median";
        assert_eq!(verified(60_000, &trust), line);
    }
}
