//! Attacks of devices: with grants that are not theirs, for other places, altered or made up, and before anybody let
//! them in.

use std::thread;

use anyhow::{Context, ensure};
use horizon_api::{
    grant::Grant,
    join::JoinString,
    key::{PublicKey, SecretKey},
    section::NetworkId,
    signed::Signed,
    verdict::{DiskEncryption, Posture},
    wire::{RefusalCode, link::ToDevice},
};
use horizon_tests::{
    folder::PEOPLE, joiner, scenario::in_world, stranger::knock, wait::wait_for, world::World,
};

/// A second network, which the gateway carries too, and one that only another gateway carries.
const OTHERS: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: lab}
spec: {addressPools: [{cidr: 10.78.0.0/24}]}
---
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: far}
spec: {addressPools: [{cidr: 10.79.0.0/24}]}
---
apiVersion: horizon.dev/v1alpha1
kind: Server
metadata: {name: gw-2}
spec:
  networkRefs: [{name: far}, {name: office}]
  endpoints: [{host: 192.0.2.2, port: 7444}]
  identity: {publicKey: KEY}
---
apiVersion: horizon.dev/v1alpha1
kind: PersonalKey
metadata: {name: bob-far}
spec: {userRef: {name: bob}, networkRefs: [{name: far}], generate: {}, maxUses: 1}
";

/// A device of the test's own.
struct Thief {
    key: SecretKey,
    grant: Vec<u8>,
}

impl Thief {
    /// Signs a device in with a link.
    fn sign_in(world: &World, link: &str, seed: u8) -> anyhow::Result<Self> {
        let key = SecretKey::from_seed(&[seed; 32]);
        let link: JoinString = link.parse()?;
        let granted = joiner::login(&world.net.cli2, &key, &link, &format!("thief-{seed}"))?;
        Ok(Self { key, grant: granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?.grant })
    }

    fn text(&self) -> anyhow::Result<Grant> {
        let signed: Signed = horizon_api::cbor::decode(&self.grant)?;
        signed.read_own().context("read the grant")
    }

    fn knock(&self, world: &World, grant: Vec<u8>, network: &str) -> anyhow::Result<ToDevice> {
        let gateway: PublicKey = world.gateway.status()?.key.parse()?;
        knock(&world.net.cli2, &self.key, gateway, grant, NetworkId::new("default", network))
    }
}

/// Says what a gateway answered to a grant that it must not take.
fn refusal(answer: ToDevice) -> anyhow::Result<String> {
    let ToDevice::Refuse(refusal) = answer else { anyhow::bail!("not refused: {answer:?}") };
    ensure!(refusal.code == RefusalCode::BadGrant, "{refusal:?}");
    Ok(refusal.message)
}

fn with_others(world: &mut World) -> anyhow::Result<()> {
    let other = SecretKey::from_seed(&[77; 32]).public();
    world.manifests.write("others.yaml", &OTHERS.replace("KEY", &other.to_string()))?;
    let server = world.manifests.read("server.yaml")?;
    let both = server.replace("networkRefs: [{name: office}]", "networkRefs: [{name: office}, {name: lab}]");
    let both = both.replace(
        "subnetRoutes: [{cidr: 198.51.100.0/24}]",
        "subnetRoutes: [{cidr: 198.51.100.0/24, networkRef: {name: office}}]",
    );
    world.manifests.write("server.yaml", &both)?;
    world.start_servers()
}

#[test]
fn no_byte_of_a_grant_can_be_altered() {
    in_world(|world| {
        world.start_servers()?;
        let thief = Thief::sign_in(world, &world.controller.invite("user", "bob")?, 21)?;
        let genuine = thief.knock(world, thief.grant.clone(), "office")?;
        ensure!(matches!(genuine, ToDevice::Accept(_)), "the genuine one is not taken: {genuine:?}");

        // Every byte is altered in the test of the check itself; here it is the gateway that must ask it.
        for position in (0..thief.grant.len()).step_by(5) {
            let mut altered = thief.grant.clone();
            altered[position] ^= 0x20;
            refusal(thief.knock(world, altered, "office")?).with_context(|| format!("byte {position}"))?;
        }
        Ok(())
    });
}

#[test]
fn a_grant_in_which_the_device_gave_itself_more_is_refused() {
    in_world(|world| {
        with_others(world)?;
        let thief = Thief::sign_in(world, &world.controller.invite("user", "bob")?, 21)?;
        let widened = {
            let mut grant = thief.text()?;
            grant.identity.user = "alice".into();
            grant.expires_at += 365 * 24 * 3600;
            let mut lab = grant.networks[0].clone();
            lab.network = NetworkId::new("default", "lab");
            grant.networks.push(lab);
            grant
        };

        let by_itself = refusal(thief.knock(world, widened.sign(&thief.key), "office")?)?;
        // The text is the thief's, the signature a genuine one of another text.
        let genuine: Signed = horizon_api::cbor::decode(&thief.grant)?;
        let spliced = splice(&widened.sign(&thief.key), &horizon_api::cbor::encode(&genuine))?;
        let spliced = refusal(thief.knock(world, spliced, "office")?)?;

        ensure!(by_itself.contains("not signed"), "{by_itself}");
        ensure!(spliced.contains("not signed") || spliced.contains("cannot be read"), "{spliced}");
        Ok(())
    });
}

/// Puts the signature of one signed document, its last 64 bytes, behind the text of another.
fn splice(text: &[u8], signature: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (text_end, from) = (text.len().checked_sub(64), signature.len().checked_sub(64));
    let (text_end, from) = (text_end.context("too short")?, from.context("too short")?);
    Ok([&text[..text_end], &signature[from..]].concat())
}

#[test]
fn a_grant_for_another_gateway_and_one_without_this_network_open_nothing() {
    in_world(|world| {
        with_others(world)?;
        let of_far = world.controller.verb(&["invite", "user", "bob"])?.success()?;
        let links = [of_far.trim().to_owned(), world.controller.invite("user", "bob")?];
        let thieves = [Thief::sign_in(world, &links[0], 21)?, Thief::sign_in(world, &links[1], 22)?];
        let network_of = |thief: &Thief| {
            anyhow::Ok(thief.text()?.networks.iter().map(|n| n.network.to_string()).collect::<Vec<_>>())
        };
        let mut far = None;
        let mut near = None;
        for thief in thieves {
            let is_far = network_of(&thief)? == ["default/far"];
            *(if is_far { &mut far } else { &mut near }) = Some(thief);
        }
        let (far, near) = (far.context("nobody is in far")?, near.context("nobody is in office")?);

        let elsewhere = refusal(far.knock(world, far.grant.clone(), "office")?)?;
        let not_granted = refusal(near.knock(world, near.grant.clone(), "lab")?)?;

        ensure!(elsewhere.contains("other gateways"), "{elsewhere}");
        ensure!(not_granted.contains("lab"), "{not_granted}");
        let own = near.knock(world, near.grant.clone(), "office")?;
        ensure!(matches!(own, ToDevice::Accept(_)), "{own:?}");
        Ok(())
    });
}

#[test]
fn a_grant_in_the_hands_of_another_device_opens_nothing() {
    in_world(|world| {
        world.start_servers()?;
        let first = Thief::sign_in(world, &world.controller.invite("user", "bob")?, 21)?;
        let second = Thief::sign_in(world, &world.controller.invite("user", "alice")?, 22)?;

        let swapped = [
            refusal(first.knock(world, second.grant.clone(), "office")?)?,
            refusal(second.knock(world, first.grant.clone(), "office")?)?,
        ];

        ensure!(swapped.iter().all(|said| said.contains("another device")), "{swapped:?}");
        Ok(())
    });
}

#[test]
fn a_device_that_waits_gets_nothing_by_asking_again_or_by_making_a_grant_up() {
    in_world(|world| {
        let text = world.manifests.read("network.yaml")?;
        world.manifests.write("network.yaml", &format!("{text}  newDevices: Approve\n"))?;
        world.start_servers()?;
        let link: JoinString = world.controller.invite("user", "bob")?.parse()?;
        let key = SecretKey::from_seed(&[21; 32]);

        for _ in 0..3 {
            let answer = joiner::login(&world.net.cli2, &key, &link, "thief")?;
            let code = answer.err().map(|refusal| refusal.code);
            ensure!(code == Some(RefusalCode::AwaitingApproval), "{code:?}");
        }
        let refreshed = joiner::refresh(&world.net.cli2, &key, &link, Some(Posture::default()))?;
        ensure!(refreshed.err().map(|r| r.code) == Some(RefusalCode::AwaitingApproval), "it got a grant");
        let devices = world.controller.devices_of("bob")?;
        ensure!(devices.len() == 1 && devices[0].awaits_approval, "{devices:?}");
        let thief = Thief { key, grant: vec![] };
        refusal(thief.knock(world, vec![], "office")?)?;
        Ok(())
    });
}

#[test]
fn of_many_devices_at_once_a_one_time_link_lets_one_in() {
    in_world(|world| {
        let once = PEOPLE.replace("generate: {}", "generate: {}, maxUses: 1");
        world.manifests.write("people.yaml", &once)?;
        world.controller.start()?;
        let link: JoinString = world.controller.invite("user", "bob")?.parse()?;
        let attempt = |seed: u8| {
            let key = SecretKey::from_seed(&[seed; 32]);
            joiner::login(&world.net.cli2, &key, &link, &format!("device-{seed}"))
        };

        let answers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (1..=24).map(|seed| scope.spawn(move || attempt(seed))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<anyhow::Result<_>>()
        })?;

        let granted = answers.iter().filter(|answer| answer.is_ok()).count();
        let codes: Vec<_> =
            answers.iter().filter_map(|answer| answer.as_ref().err()).map(|r| r.code).collect();
        ensure!(granted == 1, "{granted} were let in");
        ensure!(codes.iter().all(|code| *code == RefusalCode::KeyExhausted), "{codes:?}");
        Ok(())
    });
}

#[test]
fn what_a_device_states_is_its_own_word_on_this_connection_or_nothing() {
    in_world(|world| {
        world.start_servers()?;
        let thief = Thief::sign_in(world, &world.controller.invite("user", "bob")?, 21)?;
        let link: JoinString = world.controller.invite("user", "bob")?.parse()?;
        let encrypted = Posture { disk: DiskEncryption::Encrypted, ..Posture::default() };

        let anothers = SecretKey::from_seed(&[99; 32]);
        let forged = joiner::refresh_signed_by(&world.net.cli2, &thief.key, &anothers, &link, &encrypted)?;
        ensure!(forged.err().map(|r| r.code) == Some(RefusalCode::BadEvidence), "somebody else spoke for it");
        let honest = joiner::refresh(&world.net.cli2, &thief.key, &link, Some(encrypted))?;
        let grant = honest.map_err(|refusal| anyhow::anyhow!("{refusal}"))?.grant;

        let said = Thief { key: thief.key, grant }.text()?.identity.posture;
        ensure!(said.is_some_and(|said| said.disk == DiskEncryption::Encrypted), "it is not in the grant");
        wait_for("the controller shows it as self-reported", || {
            Ok(world
                .controller
                .verb(&["status"])?
                .success()?
                .contains("self-reported: system unknown, disk encrypted"))
        })
    });
}
