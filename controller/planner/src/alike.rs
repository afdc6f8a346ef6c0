//! What is said of many objects is kept once.

use std::{collections::HashSet, sync::Arc};

use horizon_api::condition::Condition;

/// Lists of conditions, each of them once.
#[derive(Debug, Default)]
pub struct Alike(HashSet<Arc<[Condition]>>);

impl Alike {
    /// Returns the list that says the same, or keeps this one as it.
    pub fn share(&mut self, conditions: Vec<Condition>) -> Arc<[Condition]> {
        if let Some(same) = self.0.get(conditions.as_slice()) {
            return Arc::clone(same);
        }
        let conditions: Arc<[_]> = conditions.into();
        self.0.insert(Arc::clone(&conditions));
        conditions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_the_same_is_the_same_list() {
        let mut alike = Alike::default();
        let mut ready = |now| alike.share(vec![Condition::holds("Ready", "Ready", "it works", now)]);

        let (one, other, later) = (ready(1), ready(1), ready(2));

        assert!(Arc::ptr_eq(&one, &other));
        assert_ne!(one, later);
    }
}
