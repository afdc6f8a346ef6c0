//! Who may reach what by the revision that is in force.

use horizon_api::http::{PolicyAnswer, PolicyQuestion};
use horizon_api_server::Refusal;
use horizon_node::clock;
use horizon_planner::why::{Question, Scene};

use super::Reconciler;

impl Reconciler {
    pub(super) fn why(&self, question: &PolicyQuestion) -> Result<PolicyAnswer, Refusal> {
        let PolicyQuestion { namespace, source, destination, at } = question;
        let question = Question::parse(source, destination, namespace).map_err(Refusal::Invalid)?;
        let at = at.unwrap_or_else(clock::unix_s);
        Scene::of(&self.state.compiled).why(&question, at).map_err(Refusal::Missing)
    }
}
