//! The life of a link beyond its handshake, at both ends. Machines: they `handle_*` messages and give messages back.

use horizon_api::{
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
}

/// Messages of one window: each may cost a signature check.
#[derive(Debug, Default)]
struct Budget {
    since_ms: i64,
    messages: u32,
}

/// A device says a few words when it comes, and one for each new grant.
const MESSAGES_MAX: u32 = 16;
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
    /// The device leaves.
    Left {
        reason: String,
    },
}

impl GatewaySession {
    pub fn new(peer: PublicKey, is_post_quantum: bool) -> Self {
        Self { peer, is_post_quantum, hello: None, admitted: None, budget: Budget::default() }
    }

    pub fn handle_message(&mut self, message: FromDevice, admission: &Admission, now_ms: i64) -> GatewayStep {
        if !self.budget.take(now_ms) {
            return protocol_error("too many messages");
        }
        match (message, &mut self.hello) {
            (FromDevice::Hello(hello), None) => {
                self.hello = Some(hello);
                self.judge(admission, now_ms)
            }
            (FromDevice::Renew { grant }, Some(hello)) => {
                hello.grant = grant;
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
    fn take(&mut self, now_ms: i64) -> bool {
        if (now_ms - self.since_ms).abs() >= WINDOW_MS {
            *self = Self { since_ms: now_ms, messages: 0 };
        }
        self.messages += 1;
        self.messages <= MESSAGES_MAX
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
    /// The gateway ends the link.
    Closed {
        refusal: Option<Refusal>,
        reason: String,
    },
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
        let spoken = (0..100).filter(|n| budget.take(1_000_000 + n)).count();
        assert_eq!(spoken, MESSAGES_MAX as usize);
        assert!(budget.take(1_000_000 + WINDOW_MS));
    }
}
