//! Resources in the browser: the real controller, its folder, and what people declare in the console.

use std::path::Path;

use anyhow::ensure;
use horizon_api::http::View;
use horizon_tests::browser::{Browser, RealController, Site};

use crate::{PICTURES, signed_in, view};

const AUDITOR: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Admin
metadata: {name: audrey}
spec:
  role: Auditor
  auth: {oidcSubject: audrey}
---
apiVersion: horizon.dev/v1alpha1
kind: Admin
metadata: {name: olga}
spec:
  role: Owner
  auth: {oidcSubject: olga}
";

fn user(name: &str, devices: &str) -> String {
    format!(
        "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata:\n  name: {name}\n  namespace: default\nspec:\n  \
         displayName: Bob\n  maxDevices: {devices}\n"
    )
}

async fn picture(browser: &Browser, name: &str) -> anyhow::Result<()> {
    browser.picture(&Path::new(PICTURES).join(format!("resources-{name}.png"))).await
}

/// Waits for the verdict on what was written last.
async fn writes(browser: &Browser, text: &str, verdict: &str) -> anyhow::Result<()> {
    browser.writes("editor", text).await?;
    browser.sees("verdict", verdict).await?;
    Ok(())
}

/// The whole way of an object: whose others are, a mistake, an apply, the table, the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_declared_seen_and_deleted() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let controller = RealController::start()?;
    browser.look("light", 1280, 1400).await?;
    browser.driver.goto(controller.sign_in_link()?).await?;
    browser.sees("who", "operator · Owner").await?;

    browser.clicks("to-resources").await?;
    browser.sees("resource", "office").await?;
    picture(&browser, "table").await?;
    browser.chooses("kind", "AccessPolicy").await?;
    browser.opens("staff-to-web").await?;
    browser.sees("owner", "Declared at policy.yaml:3").await?;
    browser.sees("condition", "Accepted").await?;
    browser.sees("where-to-change", "change it at policy.yaml:3").await?;
    browser.sees("manifest", "group: staff").await?;
    browser.misses("editor").await?;
    browser.misses("delete").await?;
    browser.clicks("whole").await?;
    browser.sees("yaml", "creationTimestamp:").await?;
    picture(&browser, "of-a-folder").await?;

    browser.chooses("kind", "User").await?;
    browser.sees("resource", "alice").await?;
    browser.clicks("new").await?;
    writes(&browser, &user("bob", "many"), "1 problem").await?;
    browser.sees("text-problem", "8:15").await?;
    browser.sees("text-problem", "spec.maxDevices").await?;
    let marked = "return document.querySelector('[data-testid=numbers] .bad').textContent";
    assert_eq!(*browser.driver.execute(marked, vec![]).await?.json(), "8", "the line is not marked");
    ensure!(!browser.sees("apply", "Apply").await?.is_enabled().await?, "a mistake can be applied");
    picture(&browser, "mistake").await?;
    writes(&browser, &user("bob", "2"), "1 object, no problem").await?;
    browser.clicks("apply").await?;

    browser.sees("owner", "Written by a client of the resource API").await?;
    browser.sees("condition", "Ready").await?;
    picture(&browser, "of-a-client").await?;
    browser.clicks("back").await?;
    browser.sees("resource", "bob").await?;
    let whole = controller.manifests.read("people.yaml")?;
    controller.manifests.write("people.yaml", &whole.replace("maxDevices: 3", "disabled: true"))?;
    browser.sees("resource", "true").await?;

    browser.writes("find", "bo").await?;
    browser.misses_text("resource", "alice").await?;
    browser.opens("bob").await?;
    browser.clicks("delete").await?;
    browser.writes("delete-name", "bo").await?;
    ensure!(!browser.sees("delete-now", "Delete").await?.is_enabled().await?, "half a name deletes");
    picture(&browser, "delete").await?;
    browser.writes("delete-name", "bob").await?;
    browser.clicks("delete-now").await?;
    browser.sees("resource", "alice").await?;
    browser.misses_text("resource", "bob").await?;

    // Something may be read in the moment in which it goes.
    let errors = browser.errors().await?;
    ensure!(errors.iter().all(|error| error.contains("bob - ") && error.contains("404")), "{errors:?}");
    browser.quit().await
}

/// What somebody else owns is said, and taken over by who wants it only.
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_others_are_taken_over_by_who_wants_to() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let controller = RealController::start()?;
    browser.look("dark", 1280, 1400).await?;
    browser.driver.goto(controller.sign_in_link()?).await?;
    browser.sees("live", "Live").await?;
    apply_as(&browser, "another", "users/bob", &user("bob", "2")).await?;

    browser.clicks("to-resources").await?;
    browser.chooses("kind", "User").await?;
    browser.opens("bob").await?;
    writes(&browser, &user("bob", "7"), "no problem").await?;
    browser.clicks("apply").await?;
    browser.sees("outcome", "conflict with \"another\"").await?;
    browser.sees("outcome", "spec.maxDevices").await?;
    picture(&browser, "conflict").await?;
    browser.clicks("take-over").await?;
    browser.sees("outcome", "Applied").await?;

    // What others write is not put in the place of what is written here.
    browser.writes("editor", &user("bob", "8")).await?;
    apply_as(&browser, "another", "users/bob", &user("bob", "9")).await?;
    browser.sees("changed-meanwhile", "Take the newest text").await?;
    let errors = browser.errors().await?;
    ensure!(errors.iter().all(|error| error.contains("409")), "{errors:?}");
    browser.quit().await
}

/// Applies a document by another client of the resource API.
async fn apply_as(browser: &Browser, manager: &str, object: &str, text: &str) -> anyhow::Result<()> {
    let script = r"
        const [manager, object, text, done] = arguments;
        const session = await (await fetch('/v1/session')).json();
        const path = `/apis/horizon.dev/v1alpha1/namespaces/default/${object}`;
        const answer = await fetch(`${path}?fieldManager=${manager}&force=true`, {
            method: 'PATCH',
            headers: { 'content-type': 'application/apply-patch+yaml', 'x-horizon-csrf': session.csrf },
            body: text,
        });
        done(answer.status);";
    let script = format!("(async () => {{ {script} }}).call(this)").replace("arguments", "given");
    let script = format!("const given = arguments; {script}");
    let answer =
        browser.driver.execute_async(script, vec![manager.into(), object.into(), text.into()]).await?;
    ensure!(matches!(answer.json().as_u64(), Some(200 | 201)), "{:?}", answer.json());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_sees_everything_and_no_button_that_changes_it() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let controller = RealController::start()?;
    controller.manifests.write("admins.yaml", AUDITOR)?;
    let link = controller.sign_in_link_of("audrey")?;
    browser.driver.goto(controller.sign_in_link()?).await?;
    browser.sees("live", "Live").await?;
    apply_as(&browser, "another", "users/bob", &user("bob", "2")).await?;
    browser.clicks("sign-out").await?;

    browser.look("light", 390, 1900).await?;
    browser.driver.goto(link).await?;
    browser.sees("live", "Live").await?;
    browser.clicks("to-resources").await?;
    browser.chooses("kind", "User").await?;
    browser.sees("resource", "bob").await?;
    browser.misses("new").await?;
    let script = "return document.documentElement.scrollWidth <= window.innerWidth";
    assert_eq!(*browser.driver.execute(script, vec![]).await?.json(), true, "the page scrolls sideways");
    picture(&browser, "phone").await?;
    browser.opens("bob").await?;
    browser.sees("owner", "Written by a client").await?;
    browser.sees("manifest", "maxDevices: 2").await?;
    for id in ["editor", "apply", "delete"] {
        browser.misses(id).await?;
    }
    assert_eq!(*browser.driver.execute(script, vec![]).await?.json(), true, "the page scrolls sideways");

    // They go, and the page knows at once.
    controller.manifests.write("admins.yaml", &AUDITOR.replace("audrey", "another"))?;
    browser.sees("sign-in", "Sign in to Horizon").await?;
    browser.quit().await
}

const WAITING: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Device
metadata: {name: door, namespace: default}
spec: {userRef: {name: alice}, networkRefs: [{name: office}], approved: false}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_waits_is_let_in_with_a_button_and_by_nobody_who_only_looks() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let controller = RealController::start()?;
    controller.manifests.write("admins.yaml", AUDITOR)?;
    let link = controller.sign_in_link_of("audrey")?;
    browser.driver.goto(controller.sign_in_link()?).await?;
    browser.sees("live", "Live").await?;
    apply_as(&browser, "another", "devices/door", WAITING).await?;
    browser.clicks("sign-out").await?;

    browser.driver.goto(link).await?;
    browser.sees("device", "Waits").await?;
    browser.misses("approve").await?;
    browser.clicks("sign-out").await?;
    browser.driver.goto(controller.sign_in_link()?).await?;
    browser.sees("device", "Waits").await?;
    picture(&browser, "device-waits").await?;
    browser.clicks("approve").await?;

    browser.sees("device", "Offline").await?;
    browser.misses("approve").await?;
    browser.quit().await
}

/// What a cluster declares is changed there: the page offers the text and never applies it.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_cluster_are_offered_to_copy() -> anyhow::Result<()> {
    let browser = browser_or_skip!();
    let site = Site::start(View { cluster: true, ..view() }).await?;
    signed_in(&browser, &site).await?;

    browser.driver.goto(site.url("/resources/users/default/+")).await?;
    browser.sees("elsewhere", "kubectl apply -f -").await?;
    browser.sees("copy", "Copy the YAML").await?;
    browser.misses("apply").await?;
    writes(&browser, &user("bob", "2"), "1 object, no problem").await?;
    browser.clicks("copy").await?;
    browser.sees("copy", "Copied").await?;
    browser.quit().await
}
