//! The promises, one function each: do something, look, and fail if it is not so.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::{
    traffic::{Flow, fetch, no_ping, ping, throughput, wait_ping},
    wait::{PATIENCE, wait_for, wait_until},
    world::{GATEWAY_INSIDE, LAN},
};

use super::Demo;

/// The policy of the quick start, and what it says about pings of the LAN and the page.
const POLICY: &str = "policy.yaml";

impl Demo {
    pub(super) fn show_start(&mut self) -> anyhow::Result<()> {
        self.promise("A folder of YAML is the whole configuration");
        self.world.controller.start()?;
        let view = self.world.controller.view()?;
        ensure!(view.problems.is_empty(), "the quick start has problems: {:?}", view.problems);
        let source = view.sources.first().context("no source")?;
        self.did("started horizon-controller on a copy of manifests/quickstart");
        self.saw(&format!(
            "revision {}: {} objects of {} files, no problem",
            view.revision, source.objects, source.files
        ));

        self.promise("One string joins a gateway, one link joins a person");
        self.world.enrol_gateway()?;
        self.did("horizon-controller invite server gw-1 | horizon-gateway join, run");
        let server = self.world.controller.server("gw-1")?;
        self.saw(&format!("gw-1 is ready and runs revision {}", server.applied_revision));
        self.world.alice.sign_in(&self.world.controller)?;
        self.did("horizon-controller invite user alice | horizon login, connect");
        let start = Instant::now();
        self.world.alice.connect()?;
        let status = self.world.alice.status()?;
        self.findings.key_exchange = status.key_exchange.clone().unwrap_or_default();
        let agreed = &self.findings.key_exchange;
        ensure!(agreed == "X25519MLKEM768", "keys were agreed with {agreed:?}, which is not post-quantum");
        self.saw(&format!(
            "connected after {} ms as {}, keys agreed with {} (post-quantum)",
            start.elapsed().as_millis(),
            status.ipv4()?,
            self.findings.key_exchange
        ));
        Ok(())
    }

    pub(super) fn show_allowed(&mut self) -> anyhow::Result<()> {
        self.promise("What the policy allows, works");
        wait_ping(&self.world.net.cli, LAN)?;
        let times: Vec<f64> = (0..5).filter_map(|_| ping(&self.world.net.cli, LAN).ok().flatten()).collect();
        let best = times.iter().copied().reduce(f64::min).context("no ping was answered")?;
        self.findings.ping_ms = best;
        self.did(&format!("pinged {LAN}, a host behind the gateway that knows no way back to 10.77.0.0/24"));
        self.saw(&format!("{best:.2} ms"));
        self.findings.http_bytes = fetch(&self.world.net.cli, LAN)?;
        self.did(&format!("fetched http://{LAN}/"));
        self.saw(&format!(
            "{} bytes; the host saw the visitor as {}",
            self.findings.http_bytes,
            self.page.visitor()
        ));
        self.findings.mbit_per_s = throughput(&self.world.net.cli, &self.world.net.lan, LAN, 3)?;
        self.did("one TCP stream for 3 seconds (iperf3; a development build)");
        self.saw(&format!("{:.0} Mbit/s", self.findings.mbit_per_s));
        Ok(())
    }

    pub(super) fn show_denied(&mut self) -> anyhow::Result<()> {
        self.promise("What no policy allows, does not; an edit is in force at once, and the link stays");
        ensure!(Flow::open_within(&self.world.net.cli, LAN, Duration::from_secs(1)).is_err(), "UDP passed");
        self.did("sent UDP to the same host, which no policy allows");
        self.saw("no answer");
        let original = self.world.manifests.read(POLICY)?;
        let status = self.world.gateway.wait_status("the gateway shows the link", |s| !s.links.is_empty())?;
        let since = status.links.first().context("no link")?.since_ms;
        let denied = original.replace("198.51.100.0/24", "203.0.113.0/24");
        ensure!(denied != original, "the policy of the quick start has changed");
        let start = Instant::now();
        self.world.manifests.write(POLICY, &denied)?;
        self.findings.policy_cut_ms = self.time_until_denied(start)?;
        no_ping(&self.world.net.cli, LAN)?;
        self.did("edited policy.yaml: 198.51.100.0/24 is allowed no more");
        self.saw(&format!("pings of {LAN} stopped after {} ms", self.findings.policy_cut_ms));
        ensure!(ping(&self.world.net.cli, GATEWAY_INSIDE)?.is_some(), "the gateway is not reached");
        ensure!(
            self.world.gateway.status()?.links.iter().any(|link| link.since_ms == since),
            "the link is another"
        );
        self.saw("the gateway itself still answers, on the same link");
        self.world.manifests.write(POLICY, &original)?;
        wait_ping(&self.world.net.cli, LAN)?;
        self.did("put the line back");
        self.saw(&format!("{LAN} answers again"));
        Ok(())
    }

    fn time_until_denied(&self, start: Instant) -> anyhow::Result<u128> {
        wait_until("the edit is in force", PATIENCE, || {
            let asked = start.elapsed();
            let answered = ping(&self.world.net.cli, LAN)?.is_some();
            Ok((!answered).then_some(asked.as_millis()))
        })
    }

    pub(super) fn show_typo(&mut self) -> anyhow::Result<()> {
        self.promise("A typo takes nothing down");
        let original = self.world.manifests.read(POLICY)?;
        self.world.manifests.write(POLICY, &original.replace("action: Allow", "akzion: Allow"))?;
        let problem = wait_until("the problem is told", PATIENCE, || {
            let problems = self.world.controller.view()?.problems;
            Ok(problems.into_iter().find(|problem| problem.message.contains("akzion")))
        })?;
        self.did("wrote `akzion: Allow` into policy.yaml");
        self.saw(&problem.to_string());
        ensure!(ping(&self.world.net.cli, LAN)?.is_some(), "a typo stopped traffic");
        self.saw("pings go on: the last good policy stays in force");
        self.world.manifests.write(POLICY, &original)?;
        wait_for("the problem is gone", || Ok(self.world.controller.view()?.problems.is_empty()))?;
        self.findings.revision = self.world.controller.view()?.revision;
        Ok(())
    }

    pub(super) fn show_outages(&mut self) -> anyhow::Result<()> {
        self.promise("Without the controller everything goes on");
        self.world.controller.kill()?;
        self.did("kill -9 of the controller");
        ensure!(ping(&self.world.net.cli, LAN)?.is_some(), "pings stopped with the controller");
        self.saw("pings go on");
        self.world.gateway.kill()?;
        let start = Instant::now();
        self.world.gateway.start()?;
        wait_ping(&self.world.net.cli, LAN)?;
        self.findings.gateway_back_ms = start.elapsed().as_millis();
        self.did("kill -9 of the gateway, and started it with nobody to ask");
        self.saw(&format!(
            "it runs from its cache, and the client was back by itself after {} ms",
            self.findings.gateway_back_ms
        ));
        self.world.controller.start()?;
        self.world.wait_ready()?;
        self.did("started the controller again");
        self.saw("the gateway follows it again");
        self.findings.revision = self.world.controller.view()?.revision;
        Ok(())
    }
}
