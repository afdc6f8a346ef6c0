//! What an operator sees in the browser: the real page from the real server, over HTTPS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use horizon_api::{
    http::{
        ArmedView, DeviceView, EventSeverity, EventView, HeldPlan, HoldView, Place, ServerView, SourceView,
        StaleView, View,
    },
    problem::Problem,
    resource::{Kind, ObjectKey},
};
use horizon_tests::browser::{Browser, RealController, Site};

const PICTURES: &str = env!("CARGO_TARGET_TMPDIR");

/// Ends the test as passed, and says so, where there is no browser and none is required.
macro_rules! browser_or_skip {
    () => {
        match Browser::start().await? {
            Some(browser) => browser,
            None => {
                eprintln!("SKIPPED: no chromium or no chromedriver");
                return Ok(());
            }
        }
    };
}

#[path = "browser/resources.rs"]
mod resources;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn ready_server() -> ServerView {
    ServerView {
        namespace: "default".into(),
        name: "fra-1".into(),
        enrolled: true,
        connected: true,
        ready: true,
        desired_revision: 42,
        applied_revision: 42,
        version: "0.1.0".into(),
        endpoints: vec!["198.51.100.7:7444".into()],
        networks: vec!["office".into()],
        links: 2,
        rx_bytes: 48_300_000_000,
        tx_bytes: 7_120_000_000,
        rx_bps: 312_400_000.0,
        tx_bps: 18_900_000.0,
        last_seen: Some(now()),
        owner: "servers.yaml:1".into(),
        ..ServerView::default()
    }
}

fn servers() -> Vec<ServerView> {
    let lagging = ServerView {
        name: "ams-2".into(),
        ready: false,
        applied_revision: 41,
        reason: "ForwardingBlocked".into(),
        message: "Chain ip filter FORWARD drops what this server forwards.".into(),
        links: 0,
        rx_bps: 0.0,
        tx_bps: 0.0,
        owner: "servers.yaml:14".into(),
        ..ready_server()
    };
    let new = ServerView {
        namespace: "default".into(),
        name: "sin-1".into(),
        message: "No gateway has joined with its registration key yet.".into(),
        desired_revision: 42,
        networks: vec!["office".into(), "lab".into()],
        owner: "more/singapore.yaml:3".into(),
        ..ServerView::default()
    };
    vec![lagging, ready_server(), new]
}

fn devices() -> Vec<DeviceView> {
    let connected = DeviceView {
        awaits_approval: false,
        posture: "debian 12, disk encrypted".into(),
        namespace: "default".into(),
        name: "alice-laptop".into(),
        user: "alice".into(),
        networks: vec!["office".into()],
        addresses: vec!["10.77.4.20".into(), "fd77::4:20".into()],
        server: Some("fra-1".into()),
        connected: true,
        rx_bytes: 1_240_000_000,
        tx_bytes: 96_000_000,
        last_seen: Some(now()),
        public_key: String::new(),
        key_exchange: "X25519MLKEM768".into(),
        cipher: "TLS13_AES_128_GCM_SHA256".into(),
    };
    let offline = DeviceView {
        name: "bob-phone".into(),
        user: "bob".into(),
        addresses: vec!["10.77.4.21".into()],
        server: None,
        connected: false,
        rx_bytes: 0,
        tx_bytes: 0,
        last_seen: Some(now() - 3 * 3_600_000),
        public_key: String::new(),
        key_exchange: String::new(),
        cipher: String::new(),
        ..connected.clone()
    };
    vec![connected, offline]
}

fn problems() -> Vec<Problem> {
    let port = Problem::error("servers.yaml", "OutOfRange", "port 70000 is not between 1 and 65535")
        .at(18, 13)
        .about(ObjectKey::new(Kind::Server, "default", "ams-2"), "spec.endpoints[0].port")
        .fix("write a port such as 7444");
    let unknown = Problem::error("policies/office.yaml", "UnknownField", "there is no field `prots`")
        .at(9, 7)
        .about(ObjectKey::new(Kind::AccessPolicy, "default", "office"), "spec.rules[0].prots")
        .fix("did you mean `ports`?");
    vec![port, unknown.warning()]
}

fn view() -> View {
    let event = EventView {
        id: 7,
        at: now() - 90_000,
        severity: EventSeverity::Medium,
        kind: "RegistrationRefused".into(),
        subject: "203.0.113.9".into(),
        message: "The registration key was used already.".into(),
    };
    View {
        epoch: 1,
        revision: 42,
        controller_version: "0.1.0".into(),
        started_at: now() - 7_200_000,
        complete: true,
        cluster: false,
        sources: vec![SourceView {
            path: "/etc/horizon".into(),
            complete: true,
            reason: String::new(),
            files: 7,
            objects: 23,
            commit: None,
        }],
        servers: servers(),
        devices: devices(),
        problems: problems(),
        keys: vec![],
        plans: vec![],
        holds: vec![],
        armed: None,
        stale: vec![],
        events: vec![event],
    }
}

async fn signed_in(browser: &Browser, site: &Site) -> anyhow::Result<()> {
    browser.driver.goto(site.sign_in_link().await?).await?;
    browser.sees("live", "Live").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_signs_in_by_link_and_sees_everything_live() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let site = Site::start(view()).await?;

    signed_in(&browser, &site).await?;

    assert_eq!(browser.driver.current_url().await?.as_str(), site.url("/"), "the code leaves the address");
    browser.sees("revision", "Revision 42").await?;
    browser.sees("tile-servers", "1 / 3").await?;
    browser.sees("server", "312 Mbit/s").await?;
    browser.sees("server", "41 → 42").await?;
    browser.sees("reason", "Chain ip filter FORWARD drops").await?;
    browser.sees("device", "X25519MLKEM768").await?;
    browser.sees("problem", "servers.yaml:18:13").await?;
    browser.sees("problem", "write a port such as 7444").await?;
    browser.sees("event", "RegistrationRefused").await?;
    browser.picture(&Path::new(PICTURES).join("console-light.png")).await?;

    let mut later = view();
    later.revision = 43;
    later.servers[0] = ServerView { name: "ams-2".into(), rx_bps: 1_500_000.0, ..ready_server() };
    later.devices.remove(1);
    later.problems.clear();
    site.view.send_replace(Arc::new(later));
    browser.sees("revision", "Revision 43").await?;
    browser.sees("tile-servers", "2 / 3").await?;
    browser.sees("rx-rate", "1.5 Mbit/s").await?;
    browser.sees("tile-devices", "1 / 1").await?;
    browser.sees("problems-empty", "No problems").await?;

    assert_eq!(browser.errors().await?, Vec::<String>::new());
    browser.quit().await
}

/// What a person has to decide is on the page with the words to decide it.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_person_is_shown_with_what_to_do() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let site = Site::start(view()).await?;
    signed_in(&browser, &site).await?;

    let mut later = view();
    later.revision = 43;
    let object = |kind, name: &str| ObjectKey::new(kind, "default", name);
    let policy = object(Kind::AccessPolicy, "staff");
    later.plans = vec![HeldPlan {
        hash: "4674aec365110c1e".repeat(4),
        breach: "AccessLoss".into(),
        message: "9 of 9 ways between people and what they reach would be lost (100 %)".into(),
        causes: vec![Place { object: policy.clone(), place: "policy.yaml:1".into() }],
    }];
    later.holds = vec![HoldView {
        object: object(Kind::User, "alice"),
        reason: "lost laptop".into(),
        by: "operator".into(),
        until: now() + 7_260_000,
    }];
    later.armed = Some(ArmedView {
        by: "operator".into(),
        within: 300,
        revision: Some(43),
        revert_at: Some(now() + 200_000),
    });
    let stale = |object, reason: &str, message: &str| StaleView {
        object,
        place: "policy.yaml:1".into(),
        reason: reason.into(),
        message: message.into(),
    };
    later.stale = vec![
        stale(policy, "AwaitingApproval", "it waits"),
        stale(object(Kind::User, "bob"), "SourceInvalid", "people.yaml:9:3: error: unknown field `grups`"),
    ];
    site.view.send_replace(Arc::new(later));

    browser.sees("plan", "AccessPolicy/staff policy.yaml:1").await?;
    browser.sees("plan", "horizon-controller approve 4674aec36511").await?;
    browser.sees("hold", "User/alice").await?;
    browser.sees("hold", "ends in 2 h").await?;
    browser.sees("armed", "Revision 43 is taken back in 3 min unless somebody confirms it.").await?;
    browser.sees("stale", "User/bob").await?;
    browser.picture(&Path::new(PICTURES).join("console-waiting.png")).await?;
    assert_eq!(browser.errors().await?, Vec::<String>::new());
    browser.quit().await
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_controller_is_said_and_found_again() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let mut site = Site::start(view()).await?;
    signed_in(&browser, &site).await?;
    browser.sees("server", "fra-1").await?;

    site.vanish().await?;
    browser.sees("banner", "last known state").await?;
    browser.sees("live", "Lost").await?;
    browser.sees("server", "fra-1").await?;
    browser.picture(&Path::new(PICTURES).join("console-lost.png")).await?;
    let missed = View { revision: 50, ..view() };
    site.view.send_replace(Arc::new(missed));
    site.come_back().await?;

    browser.sees("live", "Live").await?;
    browser.misses("banner").await?;
    browser.sees("revision", "Revision 50").await?;
    browser.quit().await
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_is_told_how_to_sign_in() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let site = Site::start(view()).await?;

    browser.driver.goto(site.url("/")).await?;
    browser.sees("sign-in", "horizon-controller sign-in").await?;
    browser.picture(&Path::new(PICTURES).join("console-sign-in.png")).await?;
    let link = site.sign_in_link().await?;
    browser.driver.goto(&link).await?;
    browser.sees("server", "fra-1").await?;
    browser.sees("sign-out", "Sign out").await?.click().await?;
    browser.sees("sign-in", "Sign in").await?;
    browser.driver.goto(&link).await?;

    browser.sees("refusal", "used already").await?;
    browser.misses("server").await?;
    browser.quit().await
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_that_is_not_read_in_full_says_why() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let source = SourceView {
        path: "/etc/horizon".into(),
        reason: "policies/office.yaml does not parse.".into(),
        ..SourceView::default()
    };
    let empty = View { sources: vec![source], servers: vec![], devices: vec![], ..View::default() };
    let site = Site::start(empty).await?;

    signed_in(&browser, &site).await?;

    browser.sees("revision", "No revision yet").await?;
    browser.sees("incomplete", "policies/office.yaml does not parse. Nothing is removed").await?;
    browser.sees("tile-traffic", "↓ 0 bit/s").await?;
    browser.sees("problems-empty", "None in what could be read").await?;
    browser.sees("servers-empty", "horizon-controller invite server").await?;
    browser.sees("devices-empty", "No devices yet").await?;
    browser.sees("events-empty", "Nothing happened").await?;
    browser.picture(&Path::new(PICTURES).join("console-empty.png")).await?;
    browser.quit().await
}

/// A telephone's page is as wide as the telephone, and the row with the focus keeps it while figures change.
#[tokio::test(flavor = "multi_thread")]
async fn page_fits_a_telephone_and_keeps_still() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let site = Site::start(view()).await?;
    browser.look("dark", 1280, 1100).await?;
    signed_in(&browser, &site).await?;
    browser.sees("server", "fra-1").await?;
    browser.picture(&Path::new(PICTURES).join("console-dark.png")).await?;

    browser.look("dark", 390, 2300).await?;
    let script = "return document.documentElement.scrollWidth <= window.innerWidth";
    assert_eq!(*browser.driver.execute(script, vec![]).await?.json(), true, "the page scrolls sideways");
    let chip = "const chip = document.querySelector('[data-testid=revision]'); \
        return chip.scrollWidth <= chip.clientWidth";
    assert_eq!(*browser.driver.execute(chip, vec![]).await?.json(), true, "the revision is cut off");
    browser.picture(&Path::new(PICTURES).join("console-phone.png")).await?;
    let height = "return document.querySelector('main').offsetHeight";
    let before = browser.driver.execute(height, vec![]).await?.json().clone();
    let mut later = view();
    later.servers[1].rx_bps = 7_700_000_000.0;
    site.view.send_replace(Arc::new(later));
    browser.sees("rx-rate", "7.7 Gbit/s").await?;

    assert_eq!(*browser.driver.execute(height, vec![]).await?.json(), before, "the page moved");
    assert_eq!(browser.errors().await?, Vec::<String>::new());
    browser.quit().await
}

/// The whole way: the program, its one-time link, the folder that it watches, the page.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_controller_shows_its_folder_live() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let controller = RealController::start()?;

    browser.look("light", 1280, 1100).await?;
    browser.driver.goto(controller.sign_in_link()?).await?;
    browser.sees("live", "Live").await?;
    browser.sees("server", "gw-1").await?;
    browser.sees("server", "Not enrolled").await?;
    browser.sees("tile-servers", "0 / 1").await?;
    browser.sees("problems-empty", "No problems").await?;

    let whole = controller.manifests.read("policy.yaml")?;
    controller.manifests.write("policy.yaml", &whole.replace("action: Allow", "akzion: Allow"))?;
    browser.sees("problem", "policy.yaml:10:3").await?;
    browser.sees("problem", "did you mean `action`?").await?;
    browser.picture(&Path::new(PICTURES).join("real-light.png")).await?;
    browser.look("dark", 1280, 1100).await?;
    browser.picture(&Path::new(PICTURES).join("real-dark.png")).await?;
    browser.look("light", 390, 1900).await?;
    browser.picture(&Path::new(PICTURES).join("real-phone.png")).await?;
    controller.manifests.write("policy.yaml", &whole)?;
    browser.sees("problems-empty", "No problems").await?;

    assert_eq!(browser.errors().await?, Vec::<String>::new());
    browser.quit().await
}

#[tokio::test(flavor = "multi_thread")]
async fn skip_link_moves_the_focus_and_leaves_the_page() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let site = Site::start(view()).await?;
    signed_in(&browser, &site).await?;
    browser.sees("server", "fra-1").await?;

    let mark = "document.querySelector('main').dataset.mark = 'same'; location.hash = '#main'";
    browser.driver.execute(mark, vec![]).await?;
    let mut later = view();
    later.revision = 44;
    site.view.send_replace(Arc::new(later));
    browser.sees("revision", "Revision 44").await?;

    let marked = "return document.querySelector('main').dataset.mark";
    assert_eq!(*browser.driver.execute(marked, vec![]).await?.json(), "same", "the page was made again");
    browser.quit().await
}
