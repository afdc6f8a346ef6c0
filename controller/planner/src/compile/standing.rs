//! Whether something has effect at a moment, and if not, why.

use jiff::Timestamp;

/// Whether a user, device or key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Active,
    Disabled,
    /// An admin holds it.
    Held,
    /// No admin has approved it yet.
    AwaitingApproval,
    Expired,
    /// Used as often as it may be.
    Exhausted,
    /// The user that it belongs to is not there.
    NoUser,
    /// The user that it belongs to is disabled.
    UserDisabled,
    /// An admin holds the user that it belongs to.
    UserHeld,
    /// The user that it belongs to has expired.
    UserExpired,
    /// The key that enrolled it was revoked, and takes along what it enrolled.
    KeyRevoked,
    /// Another key has followed the one that it says.
    KeyFollowed,
}

impl Standing {
    pub(crate) fn of(is_disabled: bool, expires_at: Option<Timestamp>, now: i64) -> Self {
        if is_disabled {
            Self::Disabled
        } else if expires_at.is_some_and(|end| end.as_second() <= now) {
            Self::Expired
        } else {
            Self::Active
        }
    }

    /// Takes a hold into account.
    pub(crate) fn with_hold(self, is_held: bool) -> Self {
        if is_held && self == Self::Active { Self::Held } else { self }
    }

    /// Takes into account that an admin lets it in, or has not yet.
    pub(crate) fn with_approval(self, is_approved: bool) -> Self {
        if !is_approved && self == Self::Active { Self::AwaitingApproval } else { self }
    }

    /// Takes into account that the key with which it enrolled was revoked.
    pub(crate) fn with_revoked_key(self, is_revoked: bool) -> Self {
        if is_revoked && self == Self::Active { Self::KeyRevoked } else { self }
    }

    /// Takes into account that another key has followed its own.
    pub(crate) fn with_followed_key(self, is_followed: bool) -> Self {
        if is_followed && self == Self::Active { Self::KeyFollowed } else { self }
    }

    /// Takes the standing of the user into account.
    pub(crate) fn under(self, user: Option<Self>) -> Self {
        match (self, user) {
            (Self::Active, None) => Self::NoUser,
            (Self::Active, Some(Self::Disabled)) => Self::UserDisabled,
            (Self::Active, Some(Self::Held)) => Self::UserHeld,
            (Self::Active, Some(Self::Expired)) => Self::UserExpired,
            (standing, _) => standing,
        }
    }

    /// Returns whether it is the user's standing that shows through.
    pub(crate) fn is_of_user(self) -> bool {
        match self {
            Self::NoUser | Self::UserDisabled | Self::UserHeld | Self::UserExpired => true,
            Self::Active
            | Self::Disabled
            | Self::Held
            | Self::AwaitingApproval
            | Self::Expired
            | Self::Exhausted
            | Self::KeyRevoked
            | Self::KeyFollowed => false,
        }
    }

    /// Returns the reason for conditions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Usable",
            Self::Disabled => "Disabled",
            Self::Held => "HoldActive",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Expired => "Expired",
            Self::Exhausted => "Exhausted",
            Self::NoUser => "NoUser",
            Self::UserDisabled => "UserDisabled",
            Self::UserHeld => "UserHeld",
            Self::UserExpired => "UserExpired",
            Self::KeyRevoked => "KeyRevoked",
            Self::KeyFollowed => "KeyFollowed",
        }
    }

    /// Returns one sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Active => "it may be used",
            Self::Disabled => "it is disabled",
            Self::Held => "an admin holds it",
            Self::AwaitingApproval => "no admin has approved it yet",
            Self::Expired => "it has expired",
            Self::Exhausted => "it was used as often as it may be",
            Self::NoUser => "its user does not exist",
            Self::UserDisabled => "its user is disabled",
            Self::UserHeld => "an admin holds its user",
            Self::UserExpired => "its user has expired",
            Self::KeyRevoked => "the key that enrolled it was revoked",
            Self::KeyFollowed => {
                "its key was revoked for good when another one followed it: declare the key that the device has by now, or one that was never another's"
            }
        }
    }
}
