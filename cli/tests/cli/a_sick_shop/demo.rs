//! The demo as a process of its own, and the rules that judge it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::rule_files;

/// A running demo; it ends when dropped, and with this process where that is killed.
pub(crate) struct Demo {
    /// Holds the demo's standard input, which closes however this process ends.
    child: Child,
    _rules: TempDir,
    pub(crate) base: String,
}

impl Demo {
    /// Starts the shop, judged by `rules`.
    pub(crate) fn start(rules: TempDir, arguments: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", rules, arguments)
    }

    /// Starts the shop on an address, judged by `rules`.
    pub(crate) fn start_on(address: &str, rules: TempDir, arguments: &[&str]) -> Self {
        Self::launch(address, rules, arguments, &[("PINCHPOINT_EVALUATION_INTERVAL", "1s")])
    }

    /// Starts the shop with the monitor's own settings.
    pub(crate) fn start_with_defaults(rules: TempDir, arguments: &[&str]) -> Self {
        Self::launch("127.0.0.1:0", rules, arguments, &[])
    }

    fn launch(address: &str, rules: TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pinchpoint"))
            .args(["demo", "--until-stdin-closes", "--listen", address, "--rules"])
            .arg(rules.path())
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, _rules: rules, base }
    }

    /// Returns the document at `path`.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = reqwest::get(format!("{}{path}", self.base)).await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// Returns what the monitor reports now.
    pub(crate) async fn bottlenecks(&self) -> Vec<Value> {
        self.get("/performance/bottlenecks?evidence=full&limit=1000").await["bottlenecks"].as_array().unwrap().clone()
    }

    /// Returns whether `finding` is a duration that exceeds its threshold only because other processes used the processor.
    ///
    /// A route is sick by how much work it does; how long that takes depends on the other processes as well. A sick route
    /// needs the processor itself for well over the threshold, since the demo sizes its work by processor time. So its duration
    /// stays over the threshold when divided by the slowness, and the finding counts. Ratios and counts are never excused.
    pub(crate) fn is_due_to_others(&self, finding: &Value) -> bool {
        let number = |name: &str| finding[name].as_f64().unwrap();
        finding["unit"] == "seconds" && number("value") / self.slowness() <= number("threshold")
    }

    /// Returns how many times longer the demo's work takes than on a processor of its own: the time that its threads ran or
    /// waited for a processor, divided by the time that they ran. Returns 1 where the system does not record this; there a
    /// busy machine can fail the test.
    pub(crate) fn slowness(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut nanoseconds = text.split_whitespace().map_while(|word| word.parse::<f64>().ok());
            Some((nanoseconds.next()?, nanoseconds.next()?))
        });
        let (ran, waited) = times.fold((0.0, 0.0), |(ran, waited), (more, wait)| (ran + more, waited + wait));
        if ran > 0.0 { (ran + waited) / ran } else { 1.0 }
    }

    /// Returns how often the rules have been evaluated.
    pub(crate) async fn evaluations(&self) -> u64 {
        let metrics = reqwest::get(format!("{}/metrics", self.base)).await.unwrap().text().await.unwrap();
        let series = "pinchpoint_rule_evaluation_seconds_count ";
        metrics.lines().find_map(|line| line.strip_prefix(series)?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Closes its standard input first, at which it ends by itself, so that its temporary files go too.
        _ = self.child.wait();
    }
}

/// Returns the shipped rules with short waiting times, and with the first text of each edit replaced by the second.
pub(crate) fn impatient_rules(edits: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for path in rule_files("rules") {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| match line.trim_start().split(':').next() {
            Some(key @ ("for" | "keep_firing_for")) => format!("    {key}: 1s\n"),
            _ if line.contains(r#""> 5m""#) => format!("{}\n", line.replace("> 5m", "> 20s")),
            _ => edits.iter().fold(format!("{line}\n"), |line, (from, to)| line.replace(from, to)),
        });
        let text: String = lines.collect();
        std::fs::write(directory.path().join(path.file_name().unwrap()), &text).unwrap();
        all += &text;
    }
    for (_, edited) in edits {
        assert!(all.contains(edited), "no rule has become {edited}");
    }
    directory
}
