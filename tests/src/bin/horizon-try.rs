//! `scripts/try`: the whole of Horizon on one machine, shown a promise at a time.
//!
//! It runs at the root of a checkout, as the script does, and reads the manifests there.
//! It changes nothing of the host outside its own namespaces, and takes them away at the end.

use std::{env, path::Path, process::ExitCode, thread};

use anyhow::{Context, bail};
use horizon_tests::demo::{self, Console, Demo};
use serde_json::json;

/// How the program was called.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    ends_at_once: bool,
    prints_json: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => return fail(&error, false, 2),
    };
    // Ctrl-C and SIGTERM take everything away, wherever the demonstration is.
    let shown = watch_signals().and_then(|()| run(options));
    let cleaned = demo::clean();
    // One line of JSON, and only when it is known what is left behind.
    match shown.and_then(|line| cleaned.map(|()| line)) {
        Ok(line) => {
            if options.prints_json {
                print(&line);
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, options.prints_json, 1),
    }
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options::default();
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--once" => options.ends_at_once = true,
            "--json" => options.prints_json = true,
            other => bail!("`{other}` is not known; usage: scripts/try [--once] [--json]"),
        }
    }
    Ok(options)
}

/// Returns the line of JSON.
fn run(options: Options) -> anyhow::Result<String> {
    let mut demo = Demo::prepare(Path::new("manifests/quickstart"), options.prints_json)?;
    if let Err(error) = demo.show() {
        return Err(error.context(demo.world.logs()));
    }
    let console = Console::open(&demo.world.net.ctl)?;
    let link = console.outside(&demo.world.controller.verb(&["sign-in"])?.success()?)?;
    let line = demo.json(&console.address());
    if !options.prints_json {
        print(&summary(&demo, &console.address(), &link));
    }
    if options.ends_at_once {
        return Ok(line);
    }
    if options.prints_json {
        print(&line);
    } else {
        print("Everything runs until Ctrl-C. The manifests are in:");
        print(&format!("  {}", demo.world.manifests.path().display()));
    }
    loop {
        thread::park();
    }
}

fn summary(demo: &Demo, address: &str, link: &str) -> String {
    let found = &demo.findings;
    format!(
        "\nRevision {} is in force: ping {:.2} ms, {} bytes of HTTP, {:.0} Mbit/s.\n\nConsole: {address}\nSign in: {link}\n  (once, within minutes; the browser asks about the certificate, which the controller made itself)\n",
        found.revision, found.ping_ms, found.http_bytes, found.mbit_per_s
    )
}

fn watch_signals() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        use tokio::signal::unix::{SignalKind, signal};
        let waited = runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted,
                _ = terminate.recv() => Ok(()),
            }
        });
        let cleaned = waited.context("wait for signals").and_then(|()| demo::clean());
        std::process::exit(i32::from(cleaned.is_err()));
    })?;
    Ok(())
}

fn fail(error: &anyhow::Error, prints_json: bool, code: u8) -> ExitCode {
    if prints_json {
        print(&json!({"ok": false, "error": error.root_cause().to_string()}).to_string());
    }
    #[expect(clippy::print_stderr, reason = "why it failed")]
    {
        eprintln!("error: {error:#}");
    }
    ExitCode::from(code)
}

#[expect(clippy::print_stdout, reason = "what the program is for")]
fn print(text: &str) {
    println!("{text}");
}
