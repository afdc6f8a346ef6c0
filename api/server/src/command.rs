//! What the HTTP face asks of the task that owns the store, and how it is refused.

use std::{net::SocketAddr, time::Duration};

use horizon_api::http::{
    ApiError, ApproveDeviceRequest, ApproveRequest, ArmRequest, BackupRequest, Done, EndTokensRequest,
    HoldRequest, InviteAnswer, InviteRequest, KeysAnswer, KeysRequest, ObjectReport, ObjectRequest, OwnKeys,
    PlanAnswer, PlanRequest, PolicyAnswer, PolicyQuestion, ReleaseRequest, TokenList, TokenRequest,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{Holder, SecretHash, failure::Failure};

/// How long a sign-in link may wait to be opened.
pub const SIGN_IN_LIFE: Duration = Duration::from_secs(10 * 60);
/// The longest session, however busy.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// A session without a lookup for this long has ended. An open page looks itself up once a minute.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);

/// A store that takes longer than this to answer counts as away.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// A reconciler may be in the middle of a change of a large folder, on a slow disk.
const RECONCILER_PATIENCE: Duration = Duration::from_secs(30);
/// A plan reads whole folders, and compiles several times.
const PLAN_PATIENCE: Duration = Duration::from_secs(120);

/// Where the answer to a command goes. A dropped reply is answered as "unavailable"; one that is closed is of somebody
/// who has given up.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// One request to the store's owner.
pub enum Command {
    /// Make or show, once, the join string of a server or the link of a user.
    Invite { request: InviteRequest, reply: Reply<InviteAnswer> },
    /// Say what a change does.
    Plan { request: PlanRequest, reply: Reply<PlanAnswer> },
    /// Let a plan pass.
    Approve { request: ApproveRequest, reply: Reply<Done> },
    /// Let a device in that waits.
    ApproveDevice { request: ApproveDeviceRequest, reply: Reply<Done> },
    /// Take an object out of force until a moment.
    Hold { request: HoldRequest, reply: Reply<Done> },
    /// End a hold.
    Release { request: ReleaseRequest, reply: Reply<Done> },
    /// Make the next change one that must be confirmed.
    Arm { request: ArmRequest, reply: Reply<Done> },
    /// Confirm the change.
    Confirm { reply: Reply<Done> },
    /// Say which keys the controller has.
    OwnKeys { reply: Reply<OwnKeys> },
    /// Do something about them.
    Keys { request: KeysRequest, reply: Reply<KeysAnswer> },
    /// Say everything about one object.
    Object { request: ObjectRequest, reply: Reply<ObjectReport> },
    /// Say who may reach what, and why.
    Policy { question: PolicyQuestion, reply: Reply<PolicyAnswer> },
    /// Remember the code of a sign-in link for [`SIGN_IN_LIFE`], for an Admin or the operator of the host; answers when
    /// it ends, in unix milliseconds.
    MintSignIn { code: SecretHash, holder: Option<Holder>, reply: Reply<u64> },
    /// Use up a code and begin a session in one transaction. An unknown, used or expired code is
    /// [`Refusal::Denied`] and a security event.
    TakeSignIn { code: SecretHash, session: SecretHash, from: Option<SocketAddr>, reply: Reply<Session> },
    /// Answer when the view shows all that was decided before.
    Settle { reply: Reply<()> },
    /// Find a session that has not ended and note that it was used. Whether its Admin is still in force is not looked at.
    LookupSession { session: SecretHash, reply: Reply<Option<Session>> },
    /// End a session; an unknown one is no error.
    SignOut { session: SecretHash, reply: Reply<()> },
    /// Keep a token of the resource API for somebody; answers when it ends, in unix milliseconds.
    MintToken { token: SecretHash, id: String, request: TokenRequest, reply: Reply<u64> },
    /// Answer with the tokens that are valid.
    ListTokens { reply: Reply<TokenList> },
    /// End every token of somebody, or one.
    EndTokens { request: EndTokensRequest, reply: Reply<Done> },
    /// Copy the store into a file.
    Backup { request: BackupRequest, reply: Reply<Done> },
    /// Answer with the reasons not to be ready; none when all is well.
    CheckReady { reply: Reply<Vec<String>> },
}

/// A session as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// As [`Keeper::admins`](crate::Keeper::admins) calls them.
    pub subject: String,
    /// The uid that their Admin had when the link was made; empty for the operator of the host.
    pub uid: String,
    /// Its latest end, in unix milliseconds.
    pub expires_at: u64,
}

/// Why a command was not done.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The request itself is wrong.
    Invalid(ApiError),
    /// The caller may not.
    Denied(ApiError),
    /// What it names is not there.
    Missing(ApiError),
    /// It contradicts what is there.
    Conflict(ApiError),
    /// Not at the moment.
    Unavailable(ApiError),
}

/// What is asked of whom: how long to wait, and what may be true when nobody has answered until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Of the store's owner.
    Store,
    /// Of the reconciler, which begins nothing of it for somebody who has given up.
    Answer,
    /// As [`Wish::Answer`], and takes long by itself.
    Plan,
    /// Of the store's owner, and takes as long as a disk takes for all of it.
    Copy,
    /// Of the reconciler, which does it whether anybody still waits or not.
    Deed,
}

impl Wish {
    fn patience(self) -> Duration {
        match self {
            Self::Store => STORE_PATIENCE,
            Self::Answer | Self::Deed => RECONCILER_PATIENCE,
            Self::Plan | Self::Copy => PLAN_PATIENCE,
        }
    }

    fn unanswered(self) -> Failure {
        match self {
            Self::Store => Failure::NoAnswer,
            Self::Answer | Self::Plan => Failure::NotDone,
            Self::Deed | Self::Copy => Failure::MayBeDone,
        }
    }
}

/// Sends a command and waits for its answer, for as long as anybody should.
pub(crate) async fn ask<T, C>(
    commands: &mpsc::Sender<C>,
    wish: Wish,
    command: impl FnOnce(Reply<T>) -> C,
) -> Result<T, Failure> {
    ask_within(commands, wish, wish.patience(), command).await
}

async fn ask_within<T, C>(
    commands: &mpsc::Sender<C>,
    wish: Wish,
    patience: Duration,
    command: impl FnOnce(Reply<T>) -> C,
) -> Result<T, Failure> {
    let (reply, answer) = oneshot::channel();
    commands.try_send(command(reply)).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Failure::Busy,
        mpsc::error::TrySendError::Closed(_) => Failure::NoAnswer,
    })?;
    match timeout(patience, answer).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(refusal))) => Err(Failure::Refused(refusal)),
        Ok(Err(_)) => Err(Failure::NoAnswer),
        Err(_) => Err(wish.unanswered()),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[tokio::test]
    async fn who_gives_up_hears_whether_it_may_be_done_and_is_seen_to_be_gone() {
        let (commands, mut queue) = mpsc::channel(2);
        let confirm = |reply| Command::Confirm { reply };
        let request = || InviteRequest {
            kind: horizon_api::http::InviteKind::User,
            namespace: "default".into(),
            name: "alice".into(),
            by_key: false,
        };
        let invite = |reply| Command::Invite { request: request(), reply };

        let deed = ask_within(&commands, Wish::Deed, Duration::ZERO, confirm).await;
        let answer = ask_within(&commands, Wish::Answer, Duration::ZERO, invite).await;

        assert!(matches!(deed, Err(Failure::MayBeDone)));
        assert!(matches!(answer, Err(Failure::NotDone)));
        assert!(matches!(queue.recv().await, Some(Command::Confirm { reply }) if reply.is_closed()));
        assert!(matches!(queue.recv().await, Some(Command::Invite { reply, .. }) if reply.is_closed()));
        assert_eq!(Failure::MayBeDone.into_response().status(), 503);
    }
}
