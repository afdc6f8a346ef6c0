//! The life of a link beyond its handshake, at both ends. Machines: they `handle_*` messages and give messages back.

use std::net::IpAddr;

use horizon_api::{
    card::CARD_BYTES_MAX,
    key::PublicKey,
    news::CarriedNews,
    signed::Signed,
    traffic::TrafficReport,
    wire::{
        Refusal, RefusalCode,
        link::{Accept, FromDevice, LinkHello, ToDevice},
    },
};

use super::admission::{Admission, Admitted, Asker};

/// A gateway's end of one link.
#[derive(Debug)]
pub struct GatewaySession {
    peer: PublicKey,
    is_post_quantum: bool,
    /// Kept, because what it says is judged again whenever the configuration or the time changes.
    hello: Option<LinkHello>,
    admitted: Option<Admitted>,
    budget: Budget,
    questions: Budget,
}

/// Messages of one window: each may cost a signature check.
#[derive(Debug, Default)]
struct Budget {
    since_ms: i64,
    messages: u32,
}

/// A device says a few words when it comes, and one for each new grant.
const MESSAGES_MAX: u32 = 16;
/// Cards that a device may ask for: whoever speaks with more devices at once asks again.
const QUESTIONS_MAX: u32 = 128;
const WINDOW_MS: i64 = 10_000;

/// What a session wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum GatewayStep {
    Nothing,
    /// The device is admitted, for the first time or under other terms: send this.
    Admitted(ToDevice),
    /// The device brings news from the controller, which nobody has checked yet.
    News(Box<CarriedNews>),
    /// The device says what it counted, signed.
    Reported(Signed),
    /// Send this and end the link.
    End(ToDevice, Refusal),
    /// The device asks for the card of another one.
    Asked(IpAddr),
    /// The device leaves.
    Left {
        reason: String,
    },
}

impl GatewaySession {
    pub fn new(peer: PublicKey, is_post_quantum: bool) -> Self {
        Self {
            peer,
            is_post_quantum,
            hello: None,
            admitted: None,
            budget: Budget::default(),
            questions: Budget::default(),
        }
    }

    pub fn handle_message(&mut self, message: FromDevice, admission: &Admission, now_ms: i64) -> GatewayStep {
        if let (FromDevice::AskCard { address }, Some(_)) = (&message, &self.admitted) {
            let has_question = self.questions.take(QUESTIONS_MAX, now_ms);
            return if has_question { GatewayStep::Asked(*address) } else { GatewayStep::Nothing };
        }
        if !self.budget.take(MESSAGES_MAX, now_ms) {
            return protocol_error("too many messages");
        }
        match (message, &mut self.hello) {
            (FromDevice::Hello(hello), None) => {
                self.hello = Some(hello);
                self.judge(admission, now_ms)
            }
            (FromDevice::Renew { grant, delegation, card }, Some(hello)) => {
                hello.grant = grant;
                hello.delegation = delegation;
                hello.card = card;
                self.judge(admission, now_ms)
            }
            (FromDevice::News(news), Some(_)) if self.admitted.is_some() => GatewayStep::News(Box::new(news)),
            // Kept and passed on, so it is looked at first.
            (FromDevice::Report(report), Some(_))
                if self.admitted.is_some() && report.verify::<TrafficReport>(&self.peer).is_ok() =>
            {
                GatewayStep::Reported(report)
            }
            (FromDevice::Report(_), _) => protocol_error("a report came that this device did not sign"),
            (FromDevice::AskCard { .. }, _) => protocol_error("a card was asked for before Accept"),
            (FromDevice::News(_), _) => protocol_error("news came before Accept"),
            (FromDevice::Close { reason }, _) => GatewayStep::Left { reason },
            (FromDevice::Hello(_), Some(_)) => protocol_error("Hello came twice"),
            (FromDevice::Renew { .. }, None) => protocol_error("a grant was renewed before Hello"),
        }
    }

    /// Judges the link again: the configuration changed, or time passed.
    pub fn handle_change(&mut self, admission: &Admission, now_ms: i64) -> GatewayStep {
        if self.admitted.is_some() { self.judge(admission, now_ms) } else { GatewayStep::Nothing }
    }

    /// Gives way to a newer link of the same device. Where two hosts have one device's key, both must hear of it:
    /// an end without a reason would be made good at once, for ever.
    pub fn handle_replaced(&mut self) -> GatewayStep {
        let refusal = Refusal::new(
            RefusalCode::Replaced,
            "another host made a link with this device's key",
            "sign in anew on one of the two: stop its agent, remove its data folder, and run `horizon login LINK`",
        );
        let reason = "the same device made a newer link".to_owned();
        GatewayStep::End(ToDevice::Close { refusal: Some(refusal.clone()), reason }, refusal)
    }

    pub fn admitted(&self) -> Option<&Admitted> {
        self.admitted.as_ref()
    }

    /// Returns the card that an admitted device brought. Whoever asks for it checks it; here it is only not too long.
    pub fn card(&self) -> Option<&[u8]> {
        let hello = self.hello.as_ref().filter(|_| self.admitted.is_some())?;
        (1..=CARD_BYTES_MAX).contains(&hello.card.len()).then_some(&hello.card)
    }

    fn judge(&mut self, admission: &Admission, now_ms: i64) -> GatewayStep {
        let Some(hello) = &self.hello else { return GatewayStep::Nothing };
        let asker = Asker { key: &self.peer, is_post_quantum: self.is_post_quantum };
        match (admission.admit(hello, asker, now_ms), self.admitted.take()) {
            (Ok(admitted), None) => {
                let accept = admitted.accept.clone();
                self.admitted = Some(admitted);
                GatewayStep::Admitted(ToDevice::Accept(accept))
            }
            (Ok(admitted), Some(old)) => {
                let is_same = is_same(&admitted, &old);
                let accept = admitted.accept.clone();
                self.admitted = Some(admitted);
                if is_same { GatewayStep::Nothing } else { GatewayStep::Admitted(ToDevice::Update(accept)) }
            }
            (Err(refusal), None) => GatewayStep::End(ToDevice::Refuse(refusal.clone()), refusal),
            (Err(refusal), Some(_)) => {
                let reason = refusal.message.clone();
                GatewayStep::End(ToDevice::Close { refusal: Some(refusal.clone()), reason }, refusal)
            }
        }
    }
}

impl Budget {
    fn take(&mut self, messages_max: u32, now_ms: i64) -> bool {
        if (now_ms - self.since_ms).abs() >= WINDOW_MS {
            *self = Self { since_ms: now_ms, messages: 0 };
        }
        self.messages += 1;
        self.messages <= messages_max
    }
}

/// The time in an Accept moves by itself and is no change of terms.
fn is_same(new: &Admitted, old: &Admitted) -> bool {
    let accept = Accept { server_time_ms: old.accept.server_time_ms, ..new.accept.clone() };
    accept == old.accept && new.identity == old.identity && new.grant_expires_at == old.grant_expires_at
}

fn protocol_error(message: &str) -> GatewayStep {
    let refusal = Refusal::new(RefusalCode::Protocol, message, "upgrade this agent");
    GatewayStep::End(ToDevice::Refuse(refusal.clone()), refusal)
}

/// A device's end of one link.
#[derive(Debug, Default)]
pub struct DeviceSession {
    accept: Option<Accept>,
}

/// What happened to a device's link.
#[derive(Debug, PartialEq, Eq)]
pub enum DeviceStep {
    /// The gateway said yes: packets may flow.
    Up(Accept),
    /// The terms changed; the link stays.
    Changed(Accept),
    Refused(Refusal),
    /// About the cards of other devices.
    Card(CardAnswer),
    /// The gateway ends the link.
    Closed {
        refusal: Option<Refusal>,
        reason: String,
    },
}

/// What a gateway says of the cards of other devices. Nobody has checked it yet.
#[derive(Debug, PartialEq, Eq)]
pub enum CardAnswer {
    Card { address: IpAddr, card: Vec<u8> },
    None { address: IpAddr },
    Gone { device: PublicKey },
}

impl DeviceSession {
    pub fn handle_message(&mut self, message: ToDevice) -> DeviceStep {
        match message {
            ToDevice::Accept(accept) => {
                self.accept = Some(accept.clone());
                DeviceStep::Up(accept)
            }
            ToDevice::Update(accept) => {
                self.accept = Some(accept.clone());
                DeviceStep::Changed(accept)
            }
            ToDevice::Refuse(refusal) => DeviceStep::Refused(refusal),
            ToDevice::Card { address, card } => DeviceStep::Card(CardAnswer::Card { address, card }),
            ToDevice::NoCard { address } => DeviceStep::Card(CardAnswer::None { address }),
            ToDevice::Gone { device } => DeviceStep::Card(CardAnswer::Gone { device }),
            ToDevice::Close { refusal, reason } => DeviceStep::Closed { refusal, reason },
        }
    }

    /// Returns the terms of an accepted link.
    pub fn accept(&self) -> Option<&Accept> {
        self.accept.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_talks_too_much_is_ended() {
        let mut budget = Budget::default();
        let spoken = (0..100).filter(|n| budget.take(MESSAGES_MAX, 1_000_000 + n)).count();
        assert_eq!(spoken, MESSAGES_MAX as usize);
        assert!(budget.take(MESSAGES_MAX, 1_000_000 + WINDOW_MS));
    }
}
