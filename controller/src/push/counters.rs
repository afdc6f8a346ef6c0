//! Heartbeats of one session: signed counters are believed only in order.

use horizon_api::wire::cfg::Heartbeat;

#[derive(Default)]
pub(super) struct Counters {
    last: Option<([u8; 16], u64)>,
}

impl Counters {
    /// Refuses a heartbeat of the same boot that does not follow the last one.
    pub(super) fn check(&mut self, heartbeat: &Heartbeat) -> anyhow::Result<()> {
        if let Some((boot_id, counter)) = self.last
            && boot_id == heartbeat.boot_id
            && heartbeat.counter <= counter
        {
            anyhow::bail!("a heartbeat was replayed: counter {} after {counter}", heartbeat.counter);
        }
        self.last = Some((heartbeat.boot_id, heartbeat.counter));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_believed_once_a_boot() {
        let beat = |boot: u8, counter| Heartbeat { boot_id: [boot; 16], counter, ..Heartbeat::default() };
        let mut counters = Counters::default();

        assert!(counters.check(&beat(1, 4)).is_ok());
        assert!(counters.check(&beat(1, 4)).is_err());
        assert!(counters.check(&beat(1, 3)).is_err());
        assert!(counters.check(&beat(1, 5)).is_ok());
        assert!(counters.check(&beat(2, 1)).is_ok());
    }
}
