//! A real Alertmanager.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    program::program,
    prometheus::LOOKS,
    server::{Server, free_address},
};

pub(crate) const PACKAGE: &str = "Debian package prometheus-alertmanager";

/// Finds Alertmanager.
pub(crate) fn find() -> Option<PathBuf> {
    program("prometheus-alertmanager", PACKAGE, &[])
}

/// An Alertmanager for one test; dropping it stops it.
pub(crate) struct Alertmanager {
    server: Option<Server>,
    program: PathBuf,
    address: SocketAddr,
    data: tempfile::TempDir,
}

impl Alertmanager {
    /// Starts it on a configuration.
    pub(crate) fn start(program: &Path, configuration: &str) -> Self {
        let mut alertmanager = Self::stopped(program, configuration);
        alertmanager.run();
        alertmanager
    }

    /// Returns one that does not run yet, with its address.
    pub(crate) fn stopped(program: &Path, configuration: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        std::fs::write(data.path().join("alertmanager.yml"), configuration).expect("writes");
        Self { server: None, program: program.to_owned(), address: free_address(), data }
    }

    pub(crate) fn run(&mut self) {
        let server = Command::new(&self.program)
            .arg(format!("--config.file={}", self.data.path().join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", self.data.path().display()))
            .arg(format!("--web.listen-address={}", self.address))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Alertmanager starts");
        self.server = Some(Server(server));
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends JSON, as soon as it answers.
    pub(crate) async fn post(&self, path: &str, body: &Value) {
        for _ in 0..LOOKS {
            let sent = reqwest::Client::new().post(format!("{}{path}", self.url())).json(body).send().await;
            if sent.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Alertmanager does not answer");
    }

    /// Returns the alerts that have not ended; none while it does not answer.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        let Ok(answer) = reqwest::get(format!("{}/api/v2/alerts", self.url())).await else { return Vec::new() };
        answer.json().await.unwrap_or_default()
    }

    /// Waits until the alerts that have not ended are as wanted, and returns them.
    #[track_caller]
    pub(crate) fn until(&self, wanted: impl Fn(&[Value]) -> bool) -> impl Future<Output = Vec<Value>> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..LOOKS {
                let alerts = self.alerts().await;
                if wanted(&alerts) {
                    return alerts;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("{place}: {:?}", self.alerts().await);
        }
    }
}
