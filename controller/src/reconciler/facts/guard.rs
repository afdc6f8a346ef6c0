//! What stands between texts and their effect, with a real store: plans, holds, a change that must be confirmed.

use horizon_api::{
    assignment::Assignment,
    http::{ApproveRequest, ArmRequest, ChangeKind, HoldRequest, ReleaseRequest},
    section::Section,
};
use horizon_api_server::Refusal;

use super::*;
use crate::{console::read_folders, reconciler::UNREVERTED};

const POLICY: &str = "kind: AccessPolicy\nmetadata: {name: web}\nspec: {networkRef: {name: office}, action: Allow, \
                      from: [{user: alice}], rules: [{to: [{network: office}], protocol: Tcp, ports: [\"80\"]}]}";

fn user(name: &str) -> String {
    format!("kind: User\nmetadata: {{name: {name}}}\nspec: {{}}")
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

impl World {
    fn has(&self, object: &str) -> bool {
        self.reconciler.state.committed.contains_key(&key(object))
    }

    fn spec(&self, object: &str) -> String {
        self.reconciler.state.committed[&key(object)].spec.canonical_json()
    }

    fn revision(&self) -> u64 {
        self.reconciler.state.version.revision
    }

    fn condition(&self, object: &str, kind: &str) -> Option<String> {
        let conditions = &self.reconciler.state.ledger[&key(object)].conditions;
        conditions.iter().find(|c| c.kind == kind).map(|c| format!("{} {}", c.reason, c.message))
    }

    /// What the gateway of a server must run.
    fn assignment(&self, server: &str) -> Assignment {
        let assigned = &self.reconciler.state.assignments[&key(server)];
        assigned.snapshot.assignment.read_own().unwrap()
    }

    fn revoked(&self, server: &str) -> usize {
        let sections = &self.reconciler.state.assignments[&key(server)].snapshot.sections;
        let decoded = sections.values().map(|bytes| Section::decode(bytes).unwrap());
        decoded.filter_map(|s| if let Section::Revocations(keys) = s { Some(keys.len()) } else { None }).sum()
    }

    /// Lets the time to confirm pass.
    async fn let_time_pass(&mut self) {
        let armed = self.reconciler.state.guard.armed.as_mut().unwrap();
        armed.provisional.as_mut().unwrap().revert_at_ms = 1;
        self.reconciler.wake().await;
    }
}

fn text<T>(outcome: Result<T, Refusal>) -> String {
    match outcome.err().unwrap() {
        Refusal::Invalid(error)
        | Refusal::Denied(error)
        | Refusal::Missing(error)
        | Refusal::Conflict(error)
        | Refusal::Unavailable(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_prune_waits_while_another_edit_commits_and_passes_by_its_hash() {
    let users: Vec<_> = (0..10).map(|number| user(&format!("u{number}"))).collect();
    let mut all: Vec<&str> = users.iter().map(String::as_str).collect();
    all.push(NETWORK);
    let mut world = World::start(&all).await;
    let before = world.revision();

    let wider = NETWORK.replace("spec: {", "spec: {mtu: 1300, ");
    let mut few: Vec<&str> = all[..4].to_vec();
    few.push(&wider);
    world.write(&few).await;
    let plan = world.reconciler.state.compiled.plans[0].clone();
    let outdated = world.reconciler.approve(&ApproveRequest { hash: "0123456789ab".into() }).await;
    let is_held = world.has("User/u9") && world.spec("Network/office").contains("1300");
    let mut world = world.restart().await;
    world.write(&few).await;
    let approved = world.reconciler.approve(&ApproveRequest { hash: plan.hash.short() }).await;

    assert!(is_held && before + 1 < world.revision());
    assert_eq!(plan.message, "6 of 11 objects of /manifests disappeared (54 %)");
    let outdated = text(outdated);
    assert!(outdated.contains(&plan.hash.short()), "{outdated}");
    assert!(approved.unwrap().message.contains("6 of 11"));
    assert!(!world.has("User/u9") && world.has("User/u3"));
    assert_eq!(world.reconciler.store.load().await.unwrap().guard, crate::store::Guard::default());
}

fn device(name: &str, public: PublicKey) -> String {
    format!(
        "kind: Device\nmetadata: {{name: {name}}}\nspec: {{userRef: {{name: {name}}}, \
         networkRefs: [{{name: office}}], publicKey: \"{public}\"}}"
    )
}

/// Eight people, each with a device and a policy of their own, which are the last eight.
fn people() -> Vec<String> {
    let names: Vec<_> = (0..8).map(|number| format!("u{number}")).collect();
    let users = names.iter().map(|name| user(name));
    let devices = names.iter().zip(10..).map(|(name, seed)| device(name, node(seed)));
    let policies =
        names.iter().map(|name| POLICY.replace("name: web", &format!("name: {name}")).replace("alice", name));
    let others = [NETWORK.to_owned(), SERVER.to_owned(), registration_key("gw", "generate: {}")];
    others.into_iter().chain(users).chain(devices).chain(policies).collect()
}

fn borrowed(objects: &[String]) -> Vec<&str> {
    objects.iter().map(String::as_str).collect()
}

impl World {
    async fn approve(&mut self, hash: &str) -> Result<String, Refusal> {
        let request = ApproveRequest { hash: hash.to_owned() };
        self.reconciler.approve(&request).await.map(|done| done.message)
    }

    /// The breaches that wait, with their hashes.
    fn waiting(&self) -> Vec<(&'static str, String)> {
        let plans = &self.reconciler.state.compiled.plans;
        plans.iter().map(|plan| (plan.breach.as_str(), plan.hash.short())).collect()
    }
}

#[tokio::test]
async fn a_prune_that_takes_access_passes_by_two_approvals_over_a_restart() {
    let all = people();
    let mut world = World::start(&borrowed(&all)).await;

    let few = &all[..all.len() - 7];
    world.write(&borrowed(few)).await;
    let (breach, prune) = world.waiting().remove(0);
    assert_eq!(breach, "Prune");
    let said = world.approve(&prune).await.unwrap();
    let (breach, loss) = world.waiting().remove(0);
    assert_eq!(breach, "AccessLoss");
    assert!(said.starts_with("noted: 7 of 27 objects") && said.contains(&loss), "{said}");
    assert!(world.has("AccessPolicy/u7"));
    let mut world = world.restart().await;
    world.write(&borrowed(few)).await;
    world.write(&borrowed(few)).await;
    assert_eq!(world.waiting(), [("AccessLoss", loss.clone())]);
    let said = world.approve(&loss).await.unwrap();

    assert!(said.starts_with("approved: "), "{said}");
    assert!(!world.has("AccessPolicy/u7") && world.has("AccessPolicy/u0"));
    assert_eq!(world.reconciler.store.load().await.unwrap().guard, crate::store::Guard::default());

    // Both are spent: the same again is asked for again.
    world.write(&borrowed(&all)).await;
    world.write(&borrowed(few)).await;
    assert_eq!(world.waiting(), [("Prune", prune)]);
}

#[tokio::test]
async fn an_approval_is_forgotten_when_the_texts_say_something_else() {
    let all = people();
    let mut world = World::start(&borrowed(&all)).await;
    let few = &all[..all.len() - 7];
    world.write(&borrowed(few)).await;
    let prune = world.waiting().remove(0).1;
    world.approve(&prune).await.unwrap();

    world.write(&borrowed(&all[..all.len() - 6])).await;
    world.write(&borrowed(few)).await;

    assert_eq!(world.waiting(), [("Prune", prune)]);
}

#[tokio::test]
async fn a_held_user_is_cut_off_and_comes_back_by_time() {
    let own = token(TokenKind::Registration, 1);
    let objects = [NETWORK, ALICE, SERVER, &registration_key("gw", &hash(&own))];
    let mut world = World::start(&objects).await;
    world.join(&own, 1).await.unwrap();
    let link = world.invite(InviteKind::User, "alice").await.unwrap();
    world.login(&link, 2).await.unwrap();
    let hold = |seconds| HoldRequest { object: key("User/alice"), reason: "lost phone".into(), seconds };

    let refused = [
        world.reconciler.hold(hold(0)).await,
        world.reconciler.hold(HoldRequest { reason: " ".into(), ..hold(60) }).await,
        world.reconciler.hold(HoldRequest { object: key("User/bob"), ..hold(60) }).await,
    ];
    let done = world.reconciler.hold(hold(3600)).await.unwrap();
    let during = world.revoked("Server/gw");
    let mut world = world.restart().await;
    world.declare(&objects).await;
    let after_restart = world.revoked("Server/gw");
    let said = world.condition("User/alice", "Held");
    world.reconciler.state.holds.get_mut(&key("User/alice")).unwrap().until = 1;
    world.reconciler.state.next_wake = Some(1);
    world.reconciler.wake().await;

    assert!(refused.iter().all(Result::is_err));
    assert!(done.message.starts_with("User/alice is held by operator until "), "{}", done.message);
    assert_eq!((during, after_restart), (1, 1));
    assert!(said.unwrap().starts_with("HoldActive held by operator until"));
    assert_eq!(world.revoked("Server/gw"), 0);
    assert_eq!(world.reconciler.store.load().await.unwrap().holds, []);
}

#[tokio::test]
async fn a_hold_is_released_and_a_deny_is_not_held() {
    let deny = POLICY.replace("Allow", "Deny");
    let mut world = World::start(&[NETWORK, ALICE, &deny]).await;
    let hold = |object| HoldRequest { object: key(object), reason: "why".into(), seconds: 60 };

    let refused = world.reconciler.hold(hold("AccessPolicy/web")).await;
    world.reconciler.hold(hold("User/alice")).await.unwrap();
    let release = ReleaseRequest { object: key("User/alice") };
    let released = world.reconciler.release(&release).await;
    let again = world.reconciler.release(&release).await;

    assert!(text(refused).contains("a hold can only take away"));
    assert!(released.is_ok() && text(again).contains("User/alice is not held"));
    assert_eq!(world.condition("User/alice", "Held"), None);
}

#[tokio::test]
async fn a_change_that_nobody_confirms_is_taken_back_over_a_restart() {
    let own = token(TokenKind::Registration, 1);
    let key_text = registration_key("gw", &hash(&own));
    let mut world = World::start(&[NETWORK, ALICE, SERVER, &key_text, POLICY]).await;
    world.join(&own, 1).await.unwrap();
    let (old, generation) = (world.assignment("Server/gw"), 2);

    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();
    let (closed, bob) = (POLICY.replace("80", "81"), user("bob"));
    let edit = [NETWORK, &bob, SERVER, &key_text, &closed];
    world.declare(&edit).await;
    let provisional = world.assignment("Server/gw");
    let twice = world.reconciler.arm(&ArmRequest { within: 60 }).await;
    let mut world = world.restart().await;
    world.write(&edit).await;
    let revision = world.revision();
    world.let_time_pass().await;

    assert_eq!(provisional.provisional.unwrap().previous.to_string().len(), 64);
    assert!(text(twice).contains("waits for its confirmation already"));
    assert_eq!(world.revision(), revision + 1);
    let back = world.assignment("Server/gw");
    assert_eq!((&back.sections, back.provisional), (&old.sections, None));
    assert!(
        world.has("User/alice") && !world.has("User/bob") && world.spec("AccessPolicy/web").contains("80")
    );
    assert_eq!(world.reconciler.state.committed[&key("AccessPolicy/web")].generation, generation + 1);
    let stale = world.condition("AccessPolicy/web", "Stale").unwrap();
    assert!(stale.starts_with("Reverted it was taken back because nobody confirmed it in time"), "{stale}");
    assert!(world.reconciler.state.guard.armed.is_none());

    let mut world = world.restart().await;
    world.write(&edit).await;
    assert!(world.spec("AccessPolicy/web").contains("80") && !world.has("User/bob"));
    let other = [NETWORK, ALICE, SERVER, &key_text, &POLICY.replace("80", "82")];
    world.declare(&other).await;
    assert!(world.spec("AccessPolicy/web").contains("82"));
    assert_eq!(world.reconciler.state.guard.reverted.len(), 0);
}

#[tokio::test]
async fn a_server_that_a_change_removed_comes_back_with_its_gateway() {
    let made_key = registration_key("gw", "generate: {}");
    let mut world = World::start(&[NETWORK, SERVER, &made_key]).await;
    let made = world.invite(InviteKind::Server, "gw").await.unwrap();
    world.join(&made, 1).await.unwrap();
    let uid = world.reconciler.state.ledger[&key("Server/gw")].uid.clone();

    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();
    world.declare(&[NETWORK]).await;
    let was_gone = !world.has("Server/gw");
    world.let_time_pass().await;

    assert!(was_gone && world.has("Server/gw"));
    assert_eq!(world.reconciler.state.ledger[&key("Server/gw")].uid, uid);
    let server = &world.reconciler.state.compiled.effective.servers[&key("Server/gw")];
    assert_eq!(server.public_key, Some(node(1)));
    let stored = world.reconciler.store.load().await.unwrap();
    assert_eq!((stored.bindings.len(), stored.issued_keys.len(), stored.token_uses[0].uses), (1, 1, 1));
    let attach =
        world.reconciler.attach(&AttachRequest { gateway: node(1), follows: vec![], remote: REMOTE }).await;
    assert_eq!(attach, Ok(("default".into(), "gw".into())));
}

#[tokio::test]
async fn a_change_that_is_confirmed_stays_and_its_gateway_is_told() {
    let own = token(TokenKind::Registration, 1);
    let key_text = registration_key("gw", &hash(&own));
    let mut world = World::start(&[NETWORK, ALICE, SERVER, &key_text, POLICY]).await;
    world.join(&own, 1).await.unwrap();

    let nothing = world.reconciler.confirm().await;
    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();
    world.declare(&[NETWORK, ALICE, SERVER, &key_text, &POLICY.replace("80", "81")]).await;
    let provisional = world.assignment("Server/gw");
    world.reconciler.confirm().await.unwrap();
    let confirmed = world.assignment("Server/gw");
    world.reconciler.wake().await;

    assert!(text(nothing).contains("nothing waits for a confirmation"));
    assert!(provisional.provisional.is_some() && confirmed.provisional.is_none());
    assert_eq!(confirmed.sections, provisional.sections);
    assert!(world.spec("AccessPolicy/web").contains("81"));
}

/// A laptop of alice, which signed in with the key that its manifest names: the last of the objects.
async fn laptop() -> (World, [String; 5]) {
    let laptop = device("laptop", node(2)).replace("userRef: {name: laptop}", "userRef: {name: alice}");
    let key = registration_key("gw", "generate: {}");
    let objects = [NETWORK.to_owned(), ALICE.to_owned(), SERVER.to_owned(), key, laptop];
    let mut world = World::start(&borrowed(&objects)).await;
    let gateway = world.invite(InviteKind::Server, "gw").await.unwrap();
    world.join(&gateway, 1).await.unwrap();
    world.login_again().await.unwrap();
    (world, objects)
}

impl World {
    async fn revocations(&self) -> usize {
        self.reconciler.store.load().await.unwrap().revocations.len()
    }

    async fn login_again(&mut self) -> Result<(), String> {
        let link = self.invite(InviteKind::User, "alice").await?;
        self.login(&link, 2).await.map(drop).map_err(|refusal| refusal.message)
    }
}

#[tokio::test]
async fn a_device_that_a_change_removed_signs_in_again_once_that_is_taken_back() {
    let (mut world, objects) = laptop().await;
    let without = borrowed(&objects[..4]);
    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();

    world.declare(&without).await;
    let (during, stored) = (world.revoked("Server/gw"), world.revocations().await);
    let mut world = world.restart().await;
    world.declare(&without).await;
    let after_restart = world.revoked("Server/gw");
    world.let_time_pass().await;

    assert_eq!((during, after_restart, stored), (1, 1, 0));
    assert_eq!((world.revoked("Server/gw"), world.revocations().await), (0, 0));
    assert_eq!(world.login_again().await, Ok(()));
    // The text still says so, and passes once somebody wants it.
    let (_, reverted) = world.waiting().remove(0);
    world.approve(&reverted).await.unwrap();
    assert_eq!((world.revoked("Server/gw"), world.revocations().await), (1, 1));
    assert!(!world.has("Device/laptop"));
}

#[tokio::test]
async fn a_confirmed_change_revokes_for_good() {
    let (mut world, objects) = laptop().await;
    let without = borrowed(&objects[..4]);
    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();
    world.declare(&without).await;
    let before = world.revocations().await;

    world.reconciler.confirm().await.unwrap();

    assert_eq!((before, world.revocations().await, world.revoked("Server/gw")), (0, 1, 1));
    assert_eq!(world.login_again().await, Err("this node's key was revoked".into()));
}

#[tokio::test]
async fn a_device_that_is_declared_again_signs_in_again() {
    let (mut world, objects) = laptop().await;
    world.declare(&borrowed(&objects[..4])).await;
    let gone = (world.revocations().await, world.login_again().await);
    world.declare(&borrowed(&objects)).await;

    assert_eq!(gone, (1, Err("this node's key was revoked".into())));
    assert_eq!((world.revocations().await, world.revoked("Server/gw")), (0, 0));
    assert_eq!(world.login_again().await, Ok(()));
}

#[tokio::test]
async fn a_token_that_a_change_withdrew_is_good_again_once_that_is_taken_back() {
    let made_key = registration_key("gw", "generate: {}");
    let mut world = World::start(&[NETWORK, SERVER, &made_key]).await;
    let made = world.invite(InviteKind::Server, "gw").await.unwrap();
    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();

    let own = token(TokenKind::Registration, 1);
    world.declare(&[NETWORK, SERVER, &registration_key("gw", &hash(&own))]).await;
    check_refused(world.join(&made, 1).await, RefusalCode::UnknownKey);
    world.let_time_pass().await;

    assert!(world.join(&made, 1).await.is_ok());
    let stored = world.reconciler.store.load().await.unwrap();
    assert_eq!((stored.issued_keys.len(), stored.token_uses.len()), (1, 1));
}

#[tokio::test]
async fn a_server_that_was_declared_again_meanwhile_has_its_gateway_once_that_is_taken_back() {
    let own = token(TokenKind::Registration, 1);
    let key_text = registration_key("gw", &hash(&own));
    let mut world = World::start(&[NETWORK, SERVER, &key_text]).await;
    world.join(&own, 1).await.unwrap();
    let uid = |world: &World| world.reconciler.state.ledger[&key("Server/gw")].uid.clone();
    let old = uid(&world);

    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();
    world.declare(&[NETWORK, &key_text]).await;
    world.declare(&[NETWORK, SERVER, &key_text]).await;
    let again = uid(&world);
    world.let_time_pass().await;

    assert!(old != again && uid(&world) == again);
    let stored = world.reconciler.store.load().await.unwrap();
    assert_eq!(stored.bindings.iter().map(|b| b.owner.as_str()).collect::<Vec<_>>(), [again]);
    let attach =
        world.reconciler.attach(&AttachRequest { gateway: node(1), follows: vec![], remote: REMOTE }).await;
    assert_eq!(attach, Ok(("default".into(), "gw".into())));
}

#[tokio::test]
async fn a_change_that_cannot_be_taken_back_is_told_until_it_is() {
    let mut world = World::start(&[NETWORK, ALICE]).await;
    world.reconciler.arm(&ArmRequest { within: 60 }).await.unwrap();
    world.declare(&[NETWORK]).await;
    let told = |world: &World| {
        let view = world._published.views.borrow().clone();
        view.problems.iter().any(|problem| problem.code == UNREVERTED)
    };

    let locked = Store::lock_out(world.folder.path());
    world.let_time_pass().await;
    let while_locked = told(&world);
    let confirmed = world.reconciler.confirm().await;
    drop(locked);
    world.reconciler.retry = Retry::default();
    world.reconciler.wake().await;

    assert!(while_locked && !told(&world) && world.has("User/alice"));
    assert!(text(confirmed).contains("cannot write its store"));
}

#[tokio::test]
async fn a_plan_says_what_another_folder_would_do_and_does_nothing() {
    let world = World::start(&[NETWORK, ALICE, POLICY]).await;
    let revision = world.revision();
    let folder = tempfile::tempdir().unwrap();
    let document = |object: &str| format!("apiVersion: horizon.dev/v1alpha1\n{object}\n");
    let other = [document(NETWORK), document(&user("bob")), document(&POLICY.replace("alice", "bob"))];
    std::fs::write(folder.path().join("a.yaml"), other.join("---\n")).unwrap();
    let ask = |folders: &[&str]| {
        let folders: Vec<_> = folders.iter().map(|folder| (*folder).to_owned()).collect();
        world.reconciler.plan(read_folders(&folders))
    };

    let answer = ask(&[folder.path().to_str().unwrap()]).unwrap().answer();
    let nothing = ask(&[]).unwrap().answer();
    let two = ask(&["/a", "/b"]);

    let shown: Vec<_> = answer.objects.iter().map(|o| (o.object.to_string(), o.change)).collect();
    assert_eq!(
        shown,
        [
            ("User/bob".to_owned(), ChangeKind::Added),
            ("AccessPolicy/web".to_owned(), ChangeKind::Changed),
            ("User/alice".to_owned(), ChangeKind::Removed),
        ]
    );
    assert_eq!((nothing.objects.len(), nothing.held.len()), (0, 0));
    assert!(text(two).contains("2 folders are given, and the controller reads 1"));
    assert_eq!(world.revision(), revision);
}
