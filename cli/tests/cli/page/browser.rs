//! [`Browser`]: a headless Chromium with an empty profile.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use axum::http::Method;
use fantoccini::{Client, ClientBuilder, Locator, elements::Element, error::CmdError, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program;

/// Time after which what a page should show fails the test. Nothing takes so long; other tests may have the processor.
const GIVE_UP: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What keeps Chromium from asking anything of the network by itself, and lets it run in a container.
const ARGUMENTS: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--disable-sync",
];

/// A Chromium; it ends when dropped.
pub(super) struct Browser {
    pub(super) client: Client,
    /// Dropped after the client.
    _driver: Driver,
}

impl Browser {
    /// Starts a browser, or returns nothing where none is installed.
    pub(super) async fn start() -> Option<Self> {
        program("chromium", "chromium")?;
        let mut driver = Driver::start()?;
        let arguments = ARGUMENTS.map(str::to_owned).into_iter();
        let arguments: Vec<_> =
            arguments.chain([format!("--user-data-dir={}", driver.profile.path().display())]).collect();
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let client = builder.connect(&format!("http://127.0.0.1:{}", driver.port)).await.unwrap();
        driver.session = client.session_id().await.unwrap();
        Some(Self { client, _driver: driver })
    }

    pub(super) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Runs a script in the page and returns what it returns.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub(super) async fn find(&self, selector: &str) -> Element {
        self.client.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Returns the text that the page shows.
    pub(super) async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap().to_owned()
    }

    /// Waits until a script in the page returns `true`, also while the page is replaced by another one.
    #[track_caller]
    pub(super) fn until(&self, script: &str) -> impl Future<Output = ()> {
        let (began, place) = (Instant::now(), std::panic::Location::caller());
        async move {
            loop {
                let found = self.client.execute(script, Vec::new()).await;
                if found.as_ref().is_ok_and(|found| *found == Value::Bool(true)) {
                    return;
                }
                assert!(began.elapsed() < GIVE_UP, "{place}: never true: {script}: {found:?}\n{}", self.text().await);
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Sends a command of the DevTools protocol.
    pub(super) async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await.unwrap()
    }

    /// Returns what a log has gained since it was read last.
    pub(super) async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.command("se/log", json!({ "type": kind })).await.unwrap();
        entries.as_array().unwrap().clone()
    }

    async fn command(&self, path: &'static str, body: Value) -> Result<Value, CmdError> {
        self.client.issue_cmd(Extension { path, body }).await
    }
}

/// A command that only chromedriver has.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// The program that drives the browser, and starts it.
struct Driver {
    child: Child,
    port: u16,
    session: Option<String>,
    profile: TempDir,
    /// Open, so that it can be written to.
    _output: BufReader<ChildStdout>,
}

impl Driver {
    fn start() -> Option<Self> {
        let mut child = Command::new(program("chromedriver", "chromium-driver")?)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let port = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "chromedriver ended: {said}");
            if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("started successfully on port ") {
                break port.parse().unwrap();
            }
            said += &line;
        };
        Some(Self { child, port, session: None, profile: tempfile::tempdir().unwrap(), _output: output })
    }

    /// Ends the browser, which would outlive its driver. Blocks, since a test may have failed.
    fn end_session(&self) -> std::io::Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(GIVE_UP))?;
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        stream.read(&mut [0; 64]).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        _ = self.end_session();
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
