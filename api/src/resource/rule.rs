//! The rules of CEL that our schemas carry, for API servers and for us alike.
//!
//! They use only what both an API server and `kube-cel` run. Each answers with `problem; fix`. A rule that only one item
//! of a list can break stands on the item, so that the answer points at it. An API server estimates what a rule and its
//! message may cost, by the bounds of the schema: a message puts together only texts whose length is known, which
//! those of `string(…)`, of `join` on a list that was made and of fields behind `filter` are not; the planner holds it.

use kube::core::{Message, Reason, Rule};

/// Exactly one of these fields of a value is set.
pub(super) fn exactly_one(fields: &[&str]) -> Rule {
    let each = |form: &dyn Fn(&str) -> String, by: &str| {
        fields.iter().map(|field| form(field)).collect::<Vec<_>>().join(by)
    };
    let all = each(&|field| format!("`{field}`"), ", ");
    let is_any = each(&|field| format!("has(self.{field})"), " || ");
    // Nobody can tell the length of a list that is joined. Without gaps and put apart afterwards, it has a limit.
    let set = each(&|field| format!("(has(self.{field}) ? '`{field}`' : '')"), " + ");
    let set = format!("({set}).replace('``', '` and `')");
    let count = each(&|field| format!("(has(self.{field}) ? 1 : 0)"), " + ");
    let rule = format!("{count} == 1");
    let message = format!(
        "'exactly one of {all} must be set' + ({is_any} ? ', not ' + {set} + '; remove all but one' : '; add one of them')"
    );
    explained(&rule, &message)
}

/// `any` is a word that can only be said, not denied.
pub(super) fn any_is_true() -> Rule {
    forbidden(
        "!has(self.any) || self.any",
        ".any",
        "`any: false` selects nothing; write `any: true` or remove it",
    )
}

/// A pool holds addresses for more than a link, and fewer than the Internet.
pub(super) fn pool_length() -> Rule {
    let is_ipv4 = "cidr(self.cidr).ip().family() == 4";
    let length = "cidr(self.cidr).prefixLength()";
    explained(
        &format!("{is_ipv4} ? {length} >= 8 && {length} <= 30 : {length} >= 16 && {length} <= 126"),
        &format!(
            "'a pool must be between ' + ({is_ipv4} ? '/8 and /30' : '/16 and /126') + ' long, not ' + self.cidr.substring(self.cidr.indexOf('/')) + '; such as 10.77.0.0/16 or fd77:1::/48'"
        ),
    )
    .field_path(".cidr")
}

/// A pool holds only addresses that hosts may have.
pub(super) fn pool_is_ordinary() -> Rule {
    let special = "['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '::/16', 'fe80::/10', 'ff00::/8']";
    plain(
        &format!("!{special}.exists(s, cidr(s).containsCIDR(self.cidr) || cidr(self.cidr).containsCIDR(s))"),
        "loopback, link-local, multicast and reserved addresses cannot be given to devices; use a private range",
    )
    .field_path(".cidr")
}

/// What is reserved in a pool is in it.
pub(super) fn reserved_is_inside() -> Rule {
    explained(
        "!has(self.reserved) || self.reserved.all(r, cidr(self.cidr).containsIP(r))",
        "'must lie inside ' + self.cidr + '; choose an address of the pool, or remove it'",
    )
    .field_path(".reserved")
}

/// Pools of a network have no address in common.
pub(super) fn pools_are_apart() -> Rule {
    let overlap = "cidr(p.cidr).containsCIDR(q.cidr) || cidr(q.cidr).containsCIDR(p.cidr)";
    let is_alone = format!("self.addressPools.exists_one(q, {overlap})");
    let both =
        format!("self.addressPools.map(q, q.cidr != p.cidr && ({overlap}), p.cidr + ' and ' + q.cidr)[0]");
    explained(
        &format!("self.addressPools.all(p, {is_alone})"),
        &format!("self.addressPools.map(p, !{is_alone}, {both})[0] + ' overlap; remove one of them'"),
    )
    .field_path(".addressPools")
}

/// IPv6 links carry at least 1280 bytes (RFC 8200 §5).
pub(super) fn mtu_fits_ipv6() -> Rule {
    plain(
        "!self.addressPools.exists(p, cidr(p.cidr).ip().family() == 6) || self.mtu >= 1280",
        "must be at least 1280 when an IPv6 pool is set; write `mtu: 1280` or more, or remove the IPv6 pool",
    )
    .field_path(".mtu")
}

/// Addresses that were given out keep their pool.
pub(super) fn pools_stay() -> Rule {
    plain(
        "oldSelf.addressPools.all(o, self.addressPools.exists(n, cidr(n.cidr).containsCIDR(o.cidr)))",
        "a pool may not be removed or made smaller; keep it, and reserve what must not be given out",
    )
    .field_path(".addressPools")
    .reason(Reason::FieldValueForbidden)
}

/// Whoever is in a network cannot be moved from packets to frames under way.
pub(super) fn lan_mode_stays() -> Rule {
    let mode = |of: &str| format!("(has({of}.lan) && has({of}.lan.mode) ? {of}.lan.mode : 'L3')");
    forbidden(
        &format!("{} == {}", mode("self"), mode("oldSelf")),
        ".lan.mode",
        "`lan.mode` is immutable; declare another Network with the other mode and move the devices to it",
    )
}

/// A length of time between two others.
pub(super) fn between(least: &str, most: &str, such_as: &str) -> Rule {
    plain(
        &format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"),
        &format!("must be between {least} and {most}; such as {such_as}"),
    )
}

/// A length of time that ends at a limit.
pub(super) fn at_most(most: &str, such_as: &str) -> Rule {
    plain(
        &format!("duration(self) <= duration('{most}')"),
        &format!("must be at most {most}; such as {such_as}"),
    )
}

/// Groups of multicast are multicast addresses.
pub(super) fn all_are_multicast() -> Rule {
    plain(
        "self.all(g, cidr('224.0.0.0/4').containsIP(g) || cidr('ff00::/8').containsIP(g))",
        "must be a multicast address; such as 239.1.2.3",
    )
}

/// A subnet is less than everything.
pub(super) fn subnet_is_no_exit() -> Rule {
    forbidden(
        "cidr(self.cidr).prefixLength() > 0",
        ".cidr",
        "a subnet route may not be everything; name the subnets behind it",
    )
}

/// With several networks, a route says whose it is.
pub(super) fn routes_name_their_network() -> Rule {
    plain(
        "size(self.networkRefs) == 1 || !has(self.subnetRoutes) || self.subnetRoutes.all(r, has(r.networkRef))",
        "`networkRef` is required when the server carries several networks; add `networkRef: {name: …}`",
    )
    .field_path(".subnetRoutes")
    .reason(Reason::FieldValueRequired)
}

/// What is offered to a network is offered by a server that carries it.
pub(super) fn networks_are_carried(list: &str) -> Rule {
    let is_carried = "!has(r.networkRef) || self.networkRefs.exists(n, n.name == r.networkRef.name)";
    explained(
        &format!("!has(self.{list}) || self.{list}.all(r, {is_carried})"),
        &format!(
            "'the server does not carry network `' + self.{list}.map(r, !({is_carried}), r.networkRef.name)[0] + '`; add it to `spec.networkRefs`'"
        ),
    )
    .field_path(format!(".{list}"))
}

/// A subnet is offered to a network once.
pub(super) fn routes_differ() -> Rule {
    let network = |of: &str| format!("(has({of}.networkRef) ? {of}.networkRef.name : '')");
    let is_same = format!("q.cidr == r.cidr && {} == {}", network("q"), network("r"));
    plain(
        &format!(
            "!has(self.subnetRoutes) || self.subnetRoutes.all(r, self.subnetRoutes.exists_one(q, {is_same}))"
        ),
        "is the same as another subnet route; remove one of them",
    )
    .field_path(".subnetRoutes")
}

/// A key that goes round must end.
pub(super) fn reusable_keys_expire() -> Rule {
    plain(
        "self.maxUses == 1 || has(self.expiresAt)",
        "a key for several uses must have `expiresAt`; add `expiresAt:`, such as 2027-01-31T00:00:00Z",
    )
    .reason(Reason::FieldValueRequired)
}

/// A token is one thing: another is another key. To let the controller make the next one is no other word.
pub(super) fn hash_stays() -> Rule {
    forbidden(
        "!has(oldSelf.hash) || !has(self.hash) || self.hash == oldSelf.hash",
        ".hash",
        "`hash` may not change; declare a key with another name for the other token, or `generate: {}` for one that nobody has seen",
    )
}

/// A server is nobody's.
pub(super) fn only_devices_have_users() -> Rule {
    forbidden(
        "self.role != 'Server' || !has(self.grants) || !has(self.grants.userRef)",
        ".grants.userRef",
        "`grants.userRef` may not be set when `role` is `Server`; remove it, or write `role: Device`",
    )
}

/// A device that goes nowhere is none.
pub(super) fn device_keys_grant_networks() -> Rule {
    plain(
        "self.role != 'Device' || (has(self.grants) && has(self.grants.networkRefs) && size(self.grants.networkRefs) > 0)",
        "`grants.networkRefs` is required when `role` is `Device`; add `grants: {networkRefs: [{name: …}]}`",
    )
    .reason(Reason::FieldValueRequired)
}

/// What a key enrols for nobody, policies know by tags alone.
pub(super) fn device_keys_say_whose() -> Rule {
    plain(
        "self.role != 'Device' || !has(self.grants) || has(self.grants.userRef) || (has(self.grants.tags) && size(self.grants.tags) > 0)",
        "`userRef` or `tags` is required when `role` is `Device`, so that policies can select what the key enrols; add one of them",
    )
    .field_path(".grants")
    .reason(Reason::FieldValueRequired)
}

/// A device of nobody is known by its tags, or to no policy at all.
pub(super) fn nobodys_devices_have_tags() -> Rule {
    plain(
        "has(self.userRef) || (has(self.tags) && size(self.tags) > 0)",
        "`userRef` is required for a device without tags; add `userRef: {name: …}`, or `tags:` by which policies select it",
    )
    .reason(Reason::FieldValueRequired)
}

/// Somebody who cannot sign in is no admin.
pub(super) fn can_sign_in() -> Rule {
    plain(
        "has(self.passwordHash) || has(self.oidcSubject) || (has(self.publicKeys) && size(self.publicKeys) > 0)",
        "at least one way to sign in must be set; add `passwordHash:`, `oidcSubject:` or `publicKeys:`",
    )
    .reason(Reason::FieldValueRequired)
}

/// A policy is about one network.
pub(super) fn destination_is_own_network() -> Rule {
    explained(
        "self.rules.all(r, r.to.all(t, !has(t.network) || t.network == self.networkRef.name))",
        "'must be the policy\\'s own network `' + self.networkRef.name + '`; a policy is about one network, so write another one for the other'",
    )
    .field_path(".rules")
}

/// Only protocols with ports have ports.
pub(super) fn ports_need_a_protocol() -> Rule {
    forbidden(
        "!has(self.ports) || size(self.ports) == 0 || (has(self.protocol) && self.protocol in ['Tcp', 'Udp'])",
        ".ports",
        "`ports` may not be set unless `protocol` is `Tcp` or `Udp`; add `protocol: Tcp`",
    )
}

/// A demand says what.
pub(super) fn posture_demands_something() -> Rule {
    plain(
        "has(self.diskEncrypted) || has(self.osVersionAtLeast) || (has(self.os) && size(self.os) > 0)",
        "at least one of `os`, `osVersionAtLeast`, `diskEncrypted` must be set; add one of them, or remove `posture`",
    )
    .reason(Reason::FieldValueRequired)
}

/// Version 40 of one system is not later than version 12 of another.
pub(super) fn versions_are_of_one_system() -> Rule {
    forbidden(
        "!has(self.osVersionAtLeast) || (has(self.os) && size(self.os) == 1)",
        ".osVersionAtLeast",
        "`osVersionAtLeast` may not be set unless `os` names one system; write `os: [debian]`, and another entry of `from` for the next system",
    )
}

/// A case is about one port, if its protocol has ports.
pub(super) fn port_fits_protocol() -> Rule {
    explained(
        "has(self.port) == (has(self.protocol) && self.protocol in ['Tcp', 'Udp'])",
        "has(self.port) ? '`port` may not be set unless `protocol` is `Tcp` or `Udp`; add `protocol: Tcp`' : '`port` is required with `' + self.protocol + '`; add `port:`'",
    )
}

/// Whoever sends everything through the tunnel has nothing to choose.
pub(super) fn full_routing_has_no_routes() -> Rule {
    forbidden(
        "self.mode == 'Split' || !has(self.routes) || size(self.routes) == 0",
        ".routes",
        "`routes` may not be set when `mode` is `Full`; remove them, or write `mode: Split`",
    )
}

/// A profile says which servers it uses: by labels or by name.
pub(super) fn servers_are_chosen_once() -> Rule {
    let by_name = "(has(self.serverRefs) && size(self.serverRefs) > 0)";
    explained(
        &format!("has(self.serverSelector) != {by_name}"),
        &format!(
            "'exactly one of `serverSelector`, `serverRefs` must be set' + ({by_name} ? ', not both; remove one of them' : '; add one of them')"
        ),
    )
}

fn plain(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message)
}

fn explained(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(Message::Expression(message.to_owned()))
}

fn forbidden(rule: &str, path: &str, message: &str) -> Rule {
    plain(rule, message).field_path(path).reason(Reason::FieldValueForbidden)
}
