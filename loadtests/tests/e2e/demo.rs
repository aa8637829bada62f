//! The demo shop and its customers, as a bare `loadtest` plays them: they must fit each other.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::tool::loadtest;

/// The demo while it runs. It ends with this process too, however that ends: its standard input closes then.
pub(crate) struct Demo {
    child: Child,
    pub(crate) url: String,
}

impl Demo {
    /// Starts the demo with these options, on any port.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["demo", "--until-stdin-closes", "--listen", "127.0.0.1:0"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| line.unwrap().strip_prefix("listening on ").map(str::to_owned)).unwrap();
        // What else it prints must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Closes its standard input first, at which it ends by itself, so that it removes its data.
        _ = self.child.wait();
    }
}

/// The demo's binary, which belongs to another package: Cargo builds it if it is not there, and says where it is. As a part
/// of the whole workspace: alone it would need its dependencies with other features, and they would be compiled anew.
fn binary() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--message-format", "json", "--bin", "pinchpoint"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built =
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "the demo does not build");
    let artifacts = built.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(&line.unwrap()).ok());
    artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from)).last().unwrap()
}

#[test]
fn a_bare_loadtest_finds_every_page_of_the_demo_shop() {
    let demo = Demo::start(&["--fixed"]);
    let run = loadtest(&["-H", &demo.url, "-u", "10", "-t", "5s", "--no-rules"]).ended_with(0);
    let endpoints = run.json["endpoints"].as_array().unwrap();
    let sides = run.json["server"]["endpoints"].as_array().unwrap();
    assert!(endpoints.len() >= 7, "{}", run.out);
    for endpoint in endpoints {
        assert!(endpoint["status_codes"]["404"].is_null(), "{endpoint}");
        assert!(endpoint["successful_requests"].as_u64() > Some(0), "{endpoint}");
        let name = format!("{} {}", endpoint["method"].as_str().unwrap(), endpoint["endpoint"].as_str().unwrap());
        let name = name.split('?').next().unwrap();
        assert!(sides.iter().any(|side| side["endpoint"] == name), "{name} is not joined\n{}", run.out);
    }
    for side in sides {
        assert_eq!(side["client_requests"], side["server_requests"], "{side}");
    }
    let counted: u64 = sides.iter().map(|side| side["server_requests"].as_u64().unwrap()).sum();
    assert_eq!(counted, run.number("/total_requests") as u64);
}
