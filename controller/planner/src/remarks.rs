//! What is allowed, and probably not what anybody meant: warnings about objects among others.

use horizon_api::{
    name::Name,
    problem::Problem,
    resource::{ConnectionProfileSpec, ObjectKey, ResourceSpec},
};
use jiff::Timestamp;

use crate::{
    compile::Effective,
    not_yet,
    world::{Member, World},
};

/// Returns the warnings about everything in the world.
pub(crate) fn remarks(world: &World<'_>, effective: &Effective, now: i64) -> Vec<Problem> {
    let mut remarks = Vec::new();
    for (key, member) in &world.members {
        remarks.extend(expired_from_the_start(key, member, now));
        remarks.extend(too_many_devices(key, member, effective));
        remarks.extend(former_key(key, member, effective));
        if let ResourceSpec::ConnectionProfile(spec) = member.spec {
            remarks.extend(offered_to_nobody(key, member, spec, effective));
        }
        for (path, sentence) in not_yet::not_yet_effective(member.spec) {
            let remark = member.problem(key, &path, "NotYetEffective", sentence);
            remarks.push(remark.fix("it takes effect with the version that enforces it").warning());
        }
    }
    remarks
}

/// A key that nobody can ever use: the year is wrong, or the text is older than it looks.
fn expired_from_the_start(key: &ObjectKey, member: &Member<'_>, now: i64) -> Option<Problem> {
    let (path, end) = match member.spec {
        ResourceSpec::RegistrationKey(spec) => ("spec.expiresAt", spec.expires_at),
        ResourceSpec::PersonalKey(spec) => ("spec.expiresAt", spec.expires_at),
        ResourceSpec::User(spec) => ("spec.expiresAt", spec.expires_at),
        ResourceSpec::Admin(spec) => ("spec.expiresAt", spec.expires_at),
        ResourceSpec::AccessPolicy(spec) => ("spec.validUntil", spec.valid_until),
        ResourceSpec::Network(_)
        | ResourceSpec::Server(_)
        | ResourceSpec::Device(_)
        | ResourceSpec::AccessTest(_)
        | ResourceSpec::ConnectionProfile(_)
        | ResourceSpec::AlertRule(_) => return None,
    };
    let is_past = |end: Timestamp| end.as_second() <= now;
    let is_new = member.last_good.is_none();
    end.filter(|end| is_new && is_past(*end)).map(|_| {
        let message = "is past already, so it never has any effect";
        member.problem(key, path, "AlreadyExpired", message).fix("write a later moment").warning()
    })
}

fn too_many_devices(key: &ObjectKey, member: &Member<'_>, effective: &Effective) -> Option<Problem> {
    let user = effective.users.get(key).filter(|user| user.devices > user.spec.max_devices)?;
    let message = format!("is {}, and there are {} devices", user.spec.max_devices, user.devices);
    let fix = "those that are there stay; remove some, or raise it";
    Some(member.problem(key, "spec.maxDevices", "TooManyDevices", message).fix(fix).warning())
}

/// Another key has followed the declared one: where the Server is declared anew, that one is refused.
fn former_key(key: &ObjectKey, member: &Member<'_>, effective: &Effective) -> Option<Problem> {
    let ResourceSpec::Server(spec) = member.spec else { return None };
    let (declared, current) = (spec.identity.public_key?, effective.servers.get(key)?.public_key?);
    (declared != current).then(|| {
        let message = "is not the key that the gateway has by now";
        let fix = format!("write `publicKey: \"{current}\"`");
        member.problem(key, "spec.identity.publicKey", "FormerKey", message).fix(fix).warning()
    })
}

fn offered_to_nobody(
    key: &ObjectKey,
    member: &Member<'_>,
    spec: &ConnectionProfileSpec,
    effective: &Effective,
) -> Option<Problem> {
    let is_somebody = |key: &ObjectKey, groups: &[Name]| {
        spec.audience.iter().any(|selector| {
            selector.user.as_ref().is_some_and(|user| user.as_str() == key.name)
                || selector.group.as_ref().is_some_and(|group| groups.contains(group))
        })
    };
    let mut users = effective.users.iter().filter(|(user, _)| user.namespace == key.namespace);
    if spec.audience.is_empty() || users.any(|(user, effective)| is_somebody(user, &effective.spec.groups)) {
        return None;
    }
    // A user who is missing is a missing reference, which says it better.
    let names_users = spec.audience.iter().any(|selector| selector.user.is_some());
    let message = "selects nobody, so the profile is offered to nobody";
    let fix = "name a group that somebody is in";
    (!names_users).then(|| member.problem(key, "spec.audience", "EmptyAudience", message).fix(fix).warning())
}
