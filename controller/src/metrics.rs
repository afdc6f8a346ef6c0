//! `/metrics`: Prometheus text (exposition format 0.0.4), made of the newest view and the store's counters.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    sync::{Arc, atomic::Ordering},
};

use horizon_api::{
    http::{ServerView, View},
    problem::Severity,
};

use crate::{source::files::Detections, store::StoreCounters};

/// Renders all metrics.
pub fn render(view: &View, store: StoreCounters, folders: &[(String, Arc<Detections>)]) -> String {
    let mut page = Page(String::new());
    let connected = view.servers.iter().filter(|server| server.connected).count();
    let errors = view.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    page.family("horizon_revision", "gauge", "Revision in force.");
    page.sample("horizon_revision", "", view.revision);
    page.family("horizon_epoch", "gauge", "Epoch of the store.");
    page.sample("horizon_epoch", "", view.epoch);
    page.family("horizon_source_complete", "gauge", "Whether every source was read whole.");
    page.sample("horizon_source_complete", "", u8::from(view.complete));
    page.family("horizon_source_problems", "gauge", "Errors in the sources.");
    page.sample("horizon_source_problems", "", errors);
    page.family("horizon_plan_held", "gauge", "Changes that wait for an approval.");
    page.sample("horizon_plan_held", "", view.plans.len());
    page.family("horizon_holds_active", "gauge", "Objects that admins took out of force.");
    page.sample("horizon_holds_active", "", view.holds.len());
    page.family(
        "horizon_source_change_detected_total",
        "counter",
        "Changes of a folder, by what found them.",
    );
    for (source, found) in folders {
        for (via, count) in [("event", &found.by_event), ("rescan", &found.by_rescan)] {
            let labels = format!("source=\"{}\",via=\"{via}\"", escaped(source));
            page.sample("horizon_source_change_detected_total", &labels, count.load(Ordering::Relaxed));
        }
    }
    page.family("horizon_gateways_connected", "gauge", "Gateways that are connected.");
    page.sample("horizon_gateways_connected", "", connected);
    page.family("horizon_gateway_ready", "gauge", "Whether a gateway does what it is for.");
    page.per_server(view, "horizon_gateway_ready", |server| u64::from(server.ready));
    page.family("horizon_gateway_applied_revision", "gauge", "Revision that a gateway runs.");
    page.per_server(view, "horizon_gateway_applied_revision", |server| server.applied_revision);
    page.family("horizon_gateway_links", "gauge", "Links of devices on a gateway.");
    page.per_server(view, "horizon_gateway_links", |server| u64::from(server.links));
    page.family("horizon_links", "gauge", "Links of devices, by what secures them.");
    page.per_suite(view);
    page.family("horizon_gateway_bytes", "gauge", "Bytes of the links that a gateway carries, both ways.");
    page.per_server(view, "horizon_gateway_bytes", |server| server.rx_bytes + server.tx_bytes);
    page.trust(view);
    page.family("horizon_store_commits_total", "counter", "Transactions of the store.");
    page.sample("horizon_store_commits_total", "", store.commits);
    page.family("horizon_store_requests_total", "counter", "Writes that were asked of the store.");
    page.sample("horizon_store_requests_total", "", store.requests);
    page.family("horizon_store_commit_microseconds_total", "counter", "Time spent in transactions.");
    page.sample("horizon_store_commit_microseconds_total", "", store.commit_us);
    page.family("horizon_store_waiting", "gauge", "Writes that wait for the store.");
    page.sample("horizon_store_waiting", "", store.waiting);
    page.family("horizon_store_refused_total", "counter", "Writes refused because the queue was full.");
    page.sample("horizon_store_refused_total", "", store.refused_busy);
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn trust(&mut self, view: &View) {
        self.family(
            "horizon_gateway_challenges_total",
            "counter",
            "Challenges of a gateway, by what became of them.",
        );
        for (result, of) in [
            ("answered", (|server| server.trust.answered_total) as fn(&ServerView) -> u64),
            ("failed", |server| server.trust.failed_total),
        ] {
            for server in &view.servers {
                let labels = format!("{},result=\"{result}\"", labels_of(server));
                self.sample("horizon_gateway_challenges_total", &labels, of(server));
            }
        }
        self.family(
            "horizon_gateway_noticed_total",
            "counter",
            "What was not as it should be with a gateway, by kind.",
        );
        for server in &view.servers {
            for (kind, count) in &server.trust.noticed {
                let labels = format!("{},kind=\"{kind}\"", labels_of(server));
                self.sample("horizon_gateway_noticed_total", &labels, count);
            }
        }
        self.family(
            "horizon_gateway_challenge_latency_microseconds",
            "gauge",
            "Median of a gateway's answers to challenges.",
        );
        self.per_server(view, "horizon_gateway_challenge_latency_microseconds", |server| {
            server.trust.latency_p50_us
        });
        self.family(
            "horizon_gateway_quarantined",
            "gauge",
            "Whether the controller holds a server that failed its verification.",
        );
        self.per_server(view, "horizon_gateway_quarantined", |server| {
            u64::from(server.trust.quarantine.is_some())
        });
    }

    fn per_server(&mut self, view: &View, name: &str, value: impl Fn(&ServerView) -> u64) {
        for server in &view.servers {
            self.sample(name, &labels_of(server), value(server));
        }
    }

    fn per_suite(&mut self, view: &View) {
        let mut links = BTreeMap::<_, u64>::new();
        for device in view.devices.iter().filter(|device| device.connected) {
            *links.entry((&device.key_exchange, &device.cipher)).or_default() += 1;
        }
        for ((key_exchange, cipher), count) in links {
            let labels = format!("key_exchange=\"{}\",cipher=\"{}\"", escaped(key_exchange), escaped(cipher));
            self.sample("horizon_links", &labels, count);
        }
    }
}

fn labels_of(server: &ServerView) -> String {
    format!("namespace=\"{}\",server=\"{}\"", server.namespace, server.name)
}

/// Backslash, quote and line feed (exposition format, "Comments, help text, and type information").
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_a_family() {
        let mut server = ServerView { name: "gw".into(), ..ServerView::default() };
        server.trust.answered_total = 5;
        server.trust.noticed.insert("ServerCloned".into(), 2);
        let view = View { revision: 7, servers: vec![server], ..View::default() };

        let text = render(&view, StoreCounters::default(), &[("files:/a\"b".into(), Arc::default())]);

        assert!(text.contains("\nhorizon_revision 7\n"), "{text}");
        assert!(text.contains("server=\"gw\",result=\"answered\"} 5\n"), "{text}");
        assert!(text.contains("server=\"gw\",kind=\"ServerCloned\"} 2\n"), "{text}");
        assert!(text.contains("source=\"files:/a\\\"b\""), "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        for sample in samples {
            let name: String = sample.chars().take_while(|c| *c != '{' && *c != ' ').collect();
            assert!(text.contains(&format!("# TYPE {name} ")), "{sample}");
        }
    }
}
