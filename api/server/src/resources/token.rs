//! Whose tokens are, remembered for a few seconds: programs send the same one again and again.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use horizon_machinery::{
    refusal::{Reason, Refusal},
    status,
};
use tokio::sync::mpsc;

use super::{Holder, Lookup};
use crate::{
    SecretHash, Shared,
    command::{Wish, ask},
    failure::Failure,
};

/// Tokens that are remembered at once. Beyond, the store is asked each time.
const TOKENS_MAX: usize = 4096;

/// A token, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shown {
    pub(super) token: SecretHash,
    pub(super) from: Option<IpAddr>,
}

/// Tokens that were valid a moment ago, from where they were. One that was not is never remembered: it may be valid the next moment.
pub(super) struct Tokens {
    known: Mutex<BTreeMap<Shown, Known>>,
    life: Duration,
}

struct Known {
    holder: Holder,
    since: Instant,
    /// How often tokens had been ended before.
    endings: u64,
}

/// Finds whose a token is; `None` if nobody's.
///
/// # Errors
/// 429 or 503 when the store does not answer.
pub(super) async fn holder_of(shared: &Shared, token: Shown) -> Result<Option<Holder>, Refusal> {
    let tokens = &shared.desk.tokens;
    let endings = *shared.state.keeper.endings.borrow();
    if let Some(holder) = tokens.known(token, Instant::now(), endings) {
        return Ok(Some(holder));
    }
    let lookups = &shared.state.keeper.lookups;
    if !tokens.was_valid(token) && !has_place_for_strangers(lookups) {
        return Err(refuse(&Failure::Busy));
    }
    // The moment before it is asked: what is answered may be older than its arrival.
    let since = Instant::now();
    let found =
        ask(lookups, Wish::Store, |reply| Lookup { token: token.token, from: token.from, reply }).await;
    let holder = found.map_err(|failure| refuse(&failure))?;
    if let Some(holder) = &holder {
        tokens.remember(token, holder, since, endings);
    }
    Ok(holder)
}

/// Tokens that nobody has seen valid may take half of the queue: those that were have the other half for themselves.
fn has_place_for_strangers(lookups: &mpsc::Sender<Lookup>) -> bool {
    lookups.capacity() > lookups.max_capacity() / 2
}

impl Tokens {
    /// `life` is how long a token is remembered. A watch looks again as often, so that it ends within twice that time.
    pub(super) fn new(life: Duration) -> Self {
        Self { known: Mutex::default(), life }
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    fn known(&self, token: Shown, now: Instant, endings: u64) -> Option<Holder> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_young = |known: &&Known| now.duration_since(known.since) < self.life;
        let known = known.get(&token).filter(is_young).filter(|known| known.endings == endings)?;
        Some(known.holder.clone())
    }

    fn was_valid(&self, token: Shown) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&token)
    }

    fn remember(&self, token: Shown, holder: &Holder, since: Instant, endings: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TOKENS_MAX {
            known.retain(|_, known| since.duration_since(known.since) < self.life);
        }
        if known.len() < TOKENS_MAX {
            known.insert(token, Known { holder: holder.clone(), since, endings });
        }
    }
}

fn refuse(failure: &Failure) -> Refusal {
    if matches!(failure, Failure::Busy) {
        return status::too_many_requests(1);
    }
    Refusal::plain(
        503,
        Reason::ServiceUnavailable,
        "the controller's store did not answer; look into the controller's log",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(5);

    fn root() -> Holder {
        Holder { subject: "default/root".into(), uid: "7".into() }
    }

    fn hash(number: usize) -> Shown {
        Shown { token: SecretHash(*blake3::hash(&number.to_le_bytes()).as_bytes()), from: None }
    }

    #[test]
    fn a_token_is_forgotten_after_seconds() {
        let (tokens, start) = (Tokens::new(LIFE), Instant::now());
        tokens.remember(hash(1), &root(), start, 0);

        assert_eq!(tokens.known(hash(1), start, 0), Some(root()));
        assert_eq!(tokens.known(hash(2), start, 0), None);
        assert_eq!(tokens.known(hash(1), start + LIFE, 0), None);
        // Somebody ended tokens: this may be one of them.
        assert_eq!(tokens.known(hash(1), start, 1), None);
        let elsewhere = Shown { from: Some([192, 0, 2, 9].into()), ..hash(1) };
        assert_eq!(tokens.known(elsewhere, start, 0), None, "it may not count from there");
    }

    #[test]
    fn strangers_leave_half_of_the_queue_to_tokens_that_were_valid() {
        let (tokens, start) = (Tokens::new(LIFE), Instant::now());
        tokens.remember(hash(1), &root(), start, 0);
        assert_eq!(tokens.known(hash(1), start + LIFE, 0), None);
        // Somebody ended tokens: this may be one of them.
        assert_eq!(tokens.known(hash(1), start, 1), None);
        assert!(tokens.was_valid(hash(1)) && !tokens.was_valid(hash(2)));

        let (lookups, _asked) = mpsc::channel(4);
        for has_place in [true, true, false, false] {
            assert_eq!(has_place_for_strangers(&lookups), has_place);
            let (reply, _) = tokio::sync::oneshot::channel();
            lookups.try_send(Lookup { token: hash(2).token, from: None, reply }).ok().unwrap();
        }
    }

    #[test]
    fn a_flood_of_tokens_is_bounded_and_passes() {
        let (tokens, start) = (Tokens::new(LIFE), Instant::now());
        for number in 0..=TOKENS_MAX {
            tokens.remember(hash(number), &root(), start, 0);
        }
        assert_eq!(tokens.known.lock().unwrap().len(), TOKENS_MAX);
        assert_eq!(tokens.known(hash(TOKENS_MAX), start, 0), None);

        let later = start + LIFE;
        tokens.remember(hash(TOKENS_MAX), &root(), later, 0);
        assert_eq!(tokens.known(hash(TOKENS_MAX), later, 0), Some(root()));
    }
}
