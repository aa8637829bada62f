//! Runs the built binary and reads what it wrote.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// What a run of the binary left behind.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// The written JSON, if any.
    pub(crate) json: Value,
    /// How long it took.
    pub(crate) took: Duration,
    /// Its own folder.
    pub(crate) folder: tempfile::TempDir,
}

impl Run {
    /// A number of the written JSON, by JSON pointer.
    #[track_caller]
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        self.json.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {pointer}: {self:?}"))
    }

    /// Checks the exit code, showing everything if it is another.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert!(self.code == code, "{}, not {code}\n{}\n{}", self.code, self.out, self.err);
        self
    }

    /// Checks that a text is in what the tool said.
    #[track_caller]
    pub(crate) fn said(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no {text:?} in\n{}\n{}", self.out, self.err);
        self
    }

    /// A file in the run's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs the tool in an empty directory, so that no rule files from outside apply. A load test writes `result.json` there.
pub(crate) fn loadtest(arguments: &[&str]) -> Run {
    started(arguments).finish()
}

/// Runs the tool after a command of the shell, such as a limit.
pub(crate) fn loadtest_after(shell: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_loadtest")]);
    start(command, arguments).finish()
}

/// Starts the tool.
pub(crate) fn started(arguments: &[&str]) -> Running {
    start(Command::new(env!("CARGO_BIN_EXE_loadtest")), arguments)
}

fn start(mut command: Command, arguments: &[&str]) -> Running {
    let folder = tempfile::tempdir().unwrap();
    command.args(arguments);
    let first = arguments.first().copied().unwrap_or_default();
    let watches = arguments.windows(2).any(|pair| pair == ["--mode", "monitor"]);
    let writes = !watches && !matches!(first, "check" | "compare" | "monitor" | "--help");
    if writes {
        // The machine of a test run is anything but quiet, so saturation is for those who ask for it.
        command.args(["--output", "result.json"]);
        if !arguments.contains(&"--saturation") {
            command.args(["--saturation", "warn"]);
        }
    }
    let started = Instant::now();
    let child = command
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Running { child, folder, started }
}

/// A tool that is running.
#[derive(Debug)]
pub(crate) struct Running {
    child: std::process::Child,
    folder: tempfile::TempDir,
    started: Instant,
}

impl Running {
    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Takes its processor away for a while.
    pub(crate) fn suspend(&self, span: Duration) {
        self.signal("-STOP");
        std::thread::sleep(span);
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Run {
        let Output { status, stdout, stderr } = self.child.wait_with_output().unwrap();
        let json = read_json(&self.folder.path().join("result.json"));
        Run {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
            json,
            took: self.started.elapsed(),
            folder: self.folder,
        }
    }
}

fn read_json(path: &Path) -> Value {
    std::fs::read_to_string(path).ok().map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}
