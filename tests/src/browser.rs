//! A real Chromium against a real server, and what the tests do with both.
//! Debian: `apt-get install chromium chromium-driver`. Without them tests are skipped, loudly, unless
//! `HORIZON_E2E_REQUIRED` is set.

mod real;
mod site;

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::json;
use thirtyfour::{
    CapabilitiesHelper, LoggingPrefsLogLevel,
    components::SelectElement,
    prelude::{
        By, ChromiumLikeCapabilities, DesiredCapabilities, ElementQueryable, Key, WebDriver, WebElement,
    },
    stringmatch::StringMatch,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

pub use real::RealController;
pub use site::Site;

/// Chromium's first start on a busy machine takes most of it.
const START_PATIENCE: Duration = Duration::from_secs(60);
const FLAGS: [&str; 10] = [
    "--headless",
    // Chromium refuses its sandbox to root.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--force-prefers-reduced-motion",
    "--window-size=1280,900",
];

/// A fresh browser with a fresh profile.
pub struct Browser {
    pub driver: WebDriver,
    _chromedriver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser; `None` where there is none and none is required.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let (Some(chromium), Some(chromedriver)) = (find("chromium"), find("chromedriver")) else {
            let is_required = env::var_os("HORIZON_E2E_REQUIRED").is_some();
            ensure!(
                !is_required,
                "chromium or chromedriver is missing: apt-get install chromium chromium-driver"
            );
            return Ok(None);
        };
        timeout(START_PATIENCE, Self::start_with(&chromium, &chromedriver))
            .await
            .context("the browser did not start")?
            .map(Some)
    }

    async fn start_with(chromium: &Path, chromedriver: &Path) -> anyhow::Result<Self> {
        let (chromedriver, port) = start_chromedriver(chromedriver).await?;
        let profile = tempfile::tempdir()?;
        let mut wishes = DesiredCapabilities::chrome();
        wishes.set_binary(chromium.to_str().context("the path of chromium is not text")?)?;
        wishes.accept_insecure_certs(true)?;
        for flag in FLAGS {
            wishes.add_arg(flag)?;
        }
        wishes.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
        wishes.set_logging_prefs("browser", LoggingPrefsLogLevel::All)?;
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wishes).await?;
        Ok(Self { driver, _chromedriver: chromedriver, _profile: profile })
    }

    /// Waits for an element with this test id whose text contains `text`.
    pub async fn sees(&self, id: &str, text: &str) -> anyhow::Result<WebElement> {
        let wanted = StringMatch::new(text).partial();
        let found = self.driver.query(By::Testid(id)).with_text(wanted).first().await;
        found.with_context(|| format!("see {text:?} in {id}"))
    }

    /// Waits until no element with this test id contains `text`.
    pub async fn misses_text(&self, id: &str, text: &str) -> anyhow::Result<()> {
        let wanted = StringMatch::new(text).partial();
        let is_gone = self.driver.query(By::Testid(id)).with_text(wanted).not_exists().await?;
        ensure!(is_gone, "{text:?} is still in {id}");
        Ok(())
    }

    /// Waits for an object in the table of resources and opens it.
    pub async fn opens(&self, name: &str) -> anyhow::Result<()> {
        self.sees("resource", name).await?;
        let link = self.driver.query(By::LinkText(name)).first().await;
        link.with_context(|| format!("find the link of {name}"))?.click().await?;
        Ok(())
    }

    /// Waits until no element has this test id.
    pub async fn misses(&self, id: &str) -> anyhow::Result<()> {
        let is_gone = self.driver.query(By::Testid(id)).not_exists().await?;
        ensure!(is_gone, "{id} is still there");
        Ok(())
    }

    /// Writes a text in the place of what stands in a field, as a person does.
    pub async fn writes(&self, id: &str, text: &str) -> anyhow::Result<()> {
        let field = self.driver.query(By::Testid(id)).first().await?;
        field.click().await?;
        field.send_keys(Key::Control + "a").await?;
        field.send_keys(Key::Delete + "").await?;
        field.send_keys(text).await.with_context(|| format!("write into {id}"))
    }

    /// Waits for an element with this test id and clicks it.
    pub async fn clicks(&self, id: &str) -> anyhow::Result<()> {
        let element = self.driver.query(By::Testid(id)).and_clickable().first().await;
        element.with_context(|| format!("find {id}"))?.click().await.with_context(|| format!("click {id}"))
    }

    /// Chooses an option of a list by its text.
    pub async fn chooses(&self, id: &str, option: &str) -> anyhow::Result<()> {
        let list = self.driver.query(By::Testid(id)).first().await?;
        SelectElement::new(&list).await?.select_by_visible_text(option).await?;
        Ok(())
    }

    /// Makes pages see this preference and this width.
    pub async fn look(&self, scheme: &str, width: u32, height: u32) -> anyhow::Result<()> {
        let cdp = self.driver.cdp();
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        cdp.send_raw("Emulation.setEmulatedMedia", features).await?;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        cdp.send_raw("Emulation.setDeviceMetricsOverride", size).await?;
        Ok(())
    }

    pub async fn picture(&self, path: &Path) -> anyhow::Result<()> {
        self.driver.screenshot(path).await.context("take a picture")
    }

    /// What the page said on its console that is an error: panics, refusals of the policy, failed loads.
    pub async fn errors(&self) -> anyhow::Result<Vec<String>> {
        let entries = self.driver.browser_log().await?;
        Ok(entries.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect())
    }

    pub async fn quit(self) -> anyhow::Result<()> {
        self.driver.quit().await.context("close the browser")
    }
}

async fn start_chromedriver(program: &Path) -> anyhow::Result<(Child, u16)> {
    let mut command = Command::new(program);
    command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().context("start chromedriver")?;
    let mut lines = BufReader::new(child.stdout.take().context("read from chromedriver")?).lines();
    let port = loop {
        let line = lines.next_line().await?.context("chromedriver ended before it listened")?;
        if let Some(port) = line.strip_prefix("ChromeDriver was started successfully on port ") {
            break port.trim_end_matches('.').parse().context("read chromedriver's port")?;
        }
    };
    // A full pipe would stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, port))
}

fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}
