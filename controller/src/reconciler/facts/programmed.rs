//! What is said of objects while their gateway has something else under way.

use horizon_api::{condition::Condition, resource::ObjectKey, token::TokenKind};

use super::{ALICE, NETWORK, REMOTE, SERVER, World, hash, node, registration_key, token, trust::arrival};
use crate::event::{GatewayReport, ReportKind};

const POLICY: &str = "kind: AccessPolicy\nmetadata: {name: web}\nspec: {networkRef: {name: office}, action: Allow, \
                      from: [{group: staff}], rules: [{to: [{server: gw}]}]}";

impl World {
    async fn reported(&mut self, kind: ReportKind) {
        let report = GatewayReport { gateway: node(1), session: 1, remote: REMOTE, at_ms: 1_000, kind };
        self.reconciler.report(report).await;
    }

    /// The gateway takes what it is to run.
    async fn acknowledge(&mut self) {
        let assigned = self.reconciler.state.assignments.values().next().unwrap();
        let version =
            horizon_api::assignment::Version { revision: assigned.revision, ..self.reconciler.state.version };
        let assignment = assigned.snapshot.hash;
        self.reported(ReportKind::Ack { version, assignment }).await;
    }

    fn programmed(&self, object: &str) -> Condition {
        let key: ObjectKey = object.parse().unwrap();
        let conditions = &self.reconciler.state.ledger[&key].conditions;
        conditions.iter().find(|condition| condition.kind == "Programmed").unwrap().clone()
    }
}

#[tokio::test]
async fn objects_stay_programmed_while_others_are_under_way() {
    let own = token(TokenKind::Registration, 1);
    let key = registration_key("gw", &hash(&own));
    let mut world = World::start(&[NETWORK, ALICE, SERVER, &key]).await;
    world.join(&own, 1).await.unwrap();
    world.reported(ReportKind::Connected { version: "1".into(), arrival: Box::new(arrival()) }).await;
    assert_eq!(world.programmed("Network/office").reason, "Pending");
    world.acknowledge().await;
    let before = ["Network/office", "Server/gw"].map(|object| world.programmed(object));
    assert!(before.iter().all(Condition::is_true), "{before:?}");

    world.declare(&[NETWORK, ALICE, SERVER, &key, POLICY]).await;
    let meanwhile = ["Network/office", "Server/gw"].map(|object| world.programmed(object));
    let policy = world.programmed("AccessPolicy/web").reason;
    world.acknowledge().await;

    assert_eq!(meanwhile, before);
    assert_eq!(policy, "Pending");
    assert!(world.programmed("AccessPolicy/web").is_true());
    let narrower = NETWORK.replace("name: office}", "name: office}\n").replace("}]}", "}], mtu: 1300}");
    world.declare(&[&narrower, ALICE, SERVER, &key, POLICY]).await;
    assert_eq!(world.programmed("Network/office").reason, "Pending");
    assert!(world.programmed("AccessPolicy/web").is_true());
}
