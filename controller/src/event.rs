//! Everything that can wake the reconciler.

use std::{net::IpAddr, sync::Arc};

use horizon_api::{
    assignment::Version,
    http,
    join::JoinString,
    kept::Kept,
    key::PublicKey,
    news::CarriedNews,
    resource::ObjectKey,
    section::ContentHash,
    signed::Signed,
    token::TokenText,
    wire::{
        Evidence, Refusal,
        cfg::{Heartbeat, Nack},
        dev::Granted,
    },
};
use horizon_planner::manifest::Parsed;
use horizon_trust::{challenge::Verification, server::Arrival};
use tokio::sync::oneshot;

use crate::{
    fate::ApiChanges,
    source::{cluster::ClusterScan, files::FolderScan},
};

/// One thing that happened. Closed: the reconciler handles each.
pub enum Event {
    /// A source was read.
    Scanned {
        source: String,
        scan: Arc<FolderScan>,
        parsed: Parsed,
    },
    /// The cluster was looked at.
    Cluster(ClusterScan),
    /// The token of a key is to be made, which a secret of the cluster will hold; nothing where it has one, or is gone.
    MakeToken(ObjectKey, oneshot::Sender<Option<MadeToken>>),
    /// It is in its secret: it is good from here on.
    TokenWritten(ObjectKey, MadeToken, oneshot::Sender<Result<(), String>>),
    /// Clients of the resource API changed something; the answer is that it was compiled.
    Api(ApiChanges, oneshot::Sender<()>),
    /// A gateway presents a registration token.
    Join(JoinRequest, oneshot::Sender<Result<ServerName, Refusal>>),
    /// An enrolled gateway is back.
    Attach(AttachRequest, oneshot::Sender<Result<ServerName, Refusal>>),
    /// A gateway says which key is to follow; the answer is since when that is known, in unix milliseconds.
    NextKey(NextKeyRequest, oneshot::Sender<Result<i64, Refusal>>),
    /// A gateway gives back what it kept of this controller's word, before its store was restored.
    Kept(PublicKey, Kept, oneshot::Sender<()>),
    /// A gateway said something about itself.
    Report(GatewayReport),
    /// A device presents a personal token, or one that enrols devices.
    Login(LoginRequest, oneshot::Sender<Result<Granted, Refusal>>),
    /// A known device asks for its next grant.
    Refresh(RefreshRequest, oneshot::Sender<Result<Granted, Refusal>>),
    /// A known device asks whom a gateway should keep out that cannot ask itself.
    News(RefreshRequest, oneshot::Sender<Result<Vec<CarriedNews>, Refusal>>),
    /// A known device takes another key.
    RotateDevice(RotateDeviceRequest, oneshot::Sender<Result<Granted, Refusal>>),
    /// A device leaves.
    SignOut(SignOutRequest, oneshot::Sender<Result<(), Refusal>>),
    /// A token of the resource API was shown that does not count.
    TokenRefused {
        remote: Option<IpAddr>,
        /// The part of it that may be shown, and whose it is; empty where it is nobody's.
        id: String,
        subject: String,
        reason: &'static str,
    },
    /// Somebody opened a sign-in link that is unknown, used or expired.
    SignInRefused {
        remote: Option<IpAddr>,
    },
    /// An operator asks for a join string or a link.
    Invite(http::InviteRequest, Answer<http::InviteAnswer>),
    /// An operator asks what a change does: these folders in place of the controller's own, or its own as they are.
    Plan(Vec<ReadFolder>, Answer<http::PlanAnswer>),
    /// An operator lets a plan pass.
    Approve(http::ApproveRequest, Answer<http::Done>),
    /// An operator lets a device in.
    ApproveDevice(http::ApproveDeviceRequest, Answer<http::Done>),
    /// An operator takes an object out of force.
    Hold(http::HoldRequest, Answer<http::Done>),
    /// An operator ends a hold.
    Release(http::ReleaseRequest, Answer<http::Done>),
    /// The next change must be confirmed.
    Arm(http::ArmRequest, Answer<http::Done>),
    /// The change stays.
    Confirm(Answer<http::Done>),
    /// An operator looks: what was decided before is shown.
    Settle(Answer<()>),
    /// An operator asks about one object.
    OwnKeys(Answer<http::OwnKeys>),
    /// An operator does something about the controller's own keys.
    Keys(http::KeysRequest, Answer<http::KeysAnswer>),
    Object(http::ObjectRequest, Answer<http::ObjectReport>),
    /// An operator asks who may reach what.
    Policy(http::PolicyQuestion, Answer<http::PolicyAnswer>),
}

/// A folder that was read for a plan.
pub struct ReadFolder {
    pub path: String,
    pub scan: FolderScan,
    pub parsed: Parsed,
}

/// A token that nobody has yet.
pub struct MadeToken {
    /// The uid of the key's object, here and in the cluster.
    pub uid: String,
    pub object: String,
    pub join: JoinString,
}

/// Where the answer to an operator goes.
pub type Answer<T> = oneshot::Sender<Result<T, horizon_api_server::Refusal>>;

/// Namespace and name of a Server.
pub type ServerName = (String, String);

pub struct JoinRequest {
    pub token: TokenText,
    pub name: Option<String>,
    pub gateway: PublicKey,
    pub remote: IpAddr,
    pub evidence: Evidence,
}

pub struct AttachRequest {
    pub gateway: PublicKey,
    /// What the keys before it said of the one that follows.
    pub follows: Vec<Signed>,
    pub remote: IpAddr,
}

pub struct NextKeyRequest {
    pub gateway: PublicKey,
    /// It proved that it is the gateway's as well.
    pub next: PublicKey,
    pub remote: IpAddr,
}

pub struct LoginRequest {
    pub token: TokenText,
    /// The key pair with which a person speaks in place of a token.
    pub person: Option<PublicKey>,
    pub device_name: String,
    pub device: PublicKey,
    pub remote: IpAddr,
    pub evidence: Evidence,
    /// The device's word for the key that packets for it are sealed with, checked.
    pub seal: Option<Signed>,
}

pub struct RefreshRequest {
    pub device: PublicKey,
    /// What it states of itself, if it does.
    pub evidence: Option<Evidence>,
    /// As in [`LoginRequest::seal`].
    pub seal: Option<Signed>,
}

pub struct RotateDeviceRequest {
    pub device: PublicKey,
    /// The key that follows; it proved that it is the device's as well.
    pub next: PublicKey,
    pub remote: IpAddr,
}

pub struct SignOutRequest {
    pub device: PublicKey,
    pub remote: IpAddr,
}

/// What a gateway's session tells.
pub struct GatewayReport {
    pub gateway: PublicKey,
    /// Names the connection: the end of an old one must not hide a new one.
    pub session: usize,
    /// From where it speaks now.
    pub remote: IpAddr,
    pub at_ms: i64,
    pub kind: ReportKind,
}

pub enum ReportKind {
    Connected {
        version: String,
        arrival: Box<Arrival>,
    },
    Disconnected,
    /// It moved to where its Server may not be, and is sent away.
    OutsideRanges,
    /// It wants what it was not offered, and is sent away.
    ForeignSection(ContentHash),
    /// A challenge is over.
    Challenged(Verification),
    Ack {
        version: Version,
        assignment: ContentHash,
    },
    Nack(Nack),
    /// It has what it was told of the controller's keys on disk.
    Believes(ContentHash),
    Heartbeat(Heartbeat),
}
