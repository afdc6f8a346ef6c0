//! In which way an object is written: what a method and a `Content-Type` make of a body.

use axum::http::header;
use horizon_machinery::{
    definition::Definition,
    parameters::write::Verb as Kind,
    patch::{Form, check_strategic},
    path::{Target, Verb},
    refusal::Refusal,
    write::{
        Change,
        body::{self, Body, Purpose},
        yaml,
    },
};
use serde_json::Value;

use super::{call::Call, decode};

/// In which way an object is written.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Create,
    Replace,
    Patch(Form),
}

impl Way {
    /// # Errors
    /// 415 for a patch of a form that is not read.
    pub(super) fn of(call: &Call, target: &Target, definition: &Definition) -> Result<Self, Refusal> {
        Ok(match target.verb {
            Verb::Create => Self::Create,
            Verb::Patch => Self::Patch(Form::parse(&call.header(header::CONTENT_TYPE), definition)?),
            Verb::Get | Verb::List | Verb::Watch | Verb::Update | Verb::Delete | Verb::DeleteCollection => {
                Self::Replace
            }
        })
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Create => Kind::Create,
            Self::Replace => Kind::Update,
            Self::Patch(Form::Apply) => Kind::Apply,
            Self::Patch(Form::Json | Form::Merge | Form::Strategic) => Kind::Patch,
        }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// 400, 415 for what cannot be read.
    pub(super) fn read(self, call: &Call, bytes: &[u8], definition: &Definition) -> Result<Body, Refusal> {
        match self {
            Self::Create | Self::Replace => decode::object(call, bytes, definition),
            Self::Patch(Form::Apply) => yaml::read(bytes, Purpose::Applied),
            Self::Patch(Form::Json | Form::Merge) => body::read(bytes, Purpose::Patch),
            Self::Patch(Form::Strategic) => {
                let patch = body::read(bytes, Purpose::Patch)?;
                check_strategic(&patch.value).map(|()| patch)
            }
        }
    }

    pub(super) fn change(self, body: &Value, force: bool) -> Change<'_> {
        match self {
            Self::Create => Change::Create(body),
            Self::Replace => Change::Replace(body),
            Self::Patch(Form::Json) => Change::JsonPatch(body),
            Self::Patch(Form::Merge | Form::Strategic) => Change::MergePatch(body),
            Self::Patch(Form::Apply) => Change::Apply { config: body, force },
        }
    }
}
