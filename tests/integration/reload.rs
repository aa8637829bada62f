//! Edited rule files come into force without a restart, in whatever way an editor or Kubernetes writes them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use pinchpoint::{BuildError, Monitor};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Samples, built, get as fetch};

/// One rule whose threshold is `limit`.
fn rule(limit: &str) -> String {
    format!(
        "rules:\n  - id: slow_endpoint\n    scope: endpoint\n    measure: avg_duration\n    window: 5m\n    min_samples: 1\n    \
         thresholds: {{ high: \"> {limit}\" }}\n    description: \"{{subject}} is slow\"\n    impact: \"{{value}}\"\n"
    )
}

struct Files {
    directory: TempDir,
    monitor: Monitor,
    app: axum::Router,
}

impl Files {
    /// Starts a monitor on a directory that `write` has put rule files into.
    fn with(write: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path());
        let monitor = built(Monitor::builder().rules_dir(directory.path()));
        let app = monitor.router();
        Self { directory, monitor, app }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits for the next evaluation and returns the threshold in force and the error of the last reload.
    async fn in_force(&self) -> (String, Value) {
        tokio::time::sleep(Duration::from_secs(6)).await;
        let rules = self.rules().await;
        let status: Value = serde_json::from_str(&fetch(&self.app, "/performance/status").await.1).expect("JSON");
        let threshold = rules[0]["thresholds"]["high"].as_str().expect("a threshold").to_owned();
        (threshold, status["rules"]["error"].clone())
    }

    /// Returns the rules in force.
    async fn rules(&self) -> Vec<Value> {
        let answer: Value = serde_json::from_str(&fetch(&self.app, "/performance/rules").await.1).expect("JSON");
        answer["rules"].as_array().expect("a list").clone()
    }

    /// Returns how many edits came into force.
    fn reloaded(&self) -> f64 {
        Samples::of(&self.monitor).sum("pinchpoint_rules_reload_total", &["outcome=\"ok\""])
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_saved_by_rename_is_loaded() {
    let files = Files::with(|directory| fs::write(directory.join("rules.yaml"), rule("1s")).expect("writes"));
    assert_eq!(files.in_force().await, ("> 1s".into(), Value::Null));
    fs::write(files.path("rules.yaml.swp"), rule("2s")).expect("writes");
    fs::rename(files.path("rules.yaml.swp"), files.path("rules.yaml")).expect("renames");
    assert_eq!(files.in_force().await, ("> 2s".into(), Value::Null));
    assert_eq!(Samples::of(&files.monitor).sum("pinchpoint_rules_reload_total", &["outcome=\"ok\""]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_file_truncated_and_written_again_is_loaded_when_it_is_whole() {
    let files = Files::with(|directory| fs::write(directory.join("rules.yaml"), rule("1s")).expect("writes"));
    let whole = rule("3s");
    for part in [0, 20, whole.len() / 2] {
        fs::write(files.path("rules.yaml"), &whole[..part]).expect("writes");
        assert_eq!(files.in_force().await.0, "> 1s", "half a file changes nothing");
    }
    fs::write(files.path("rules.yaml"), whole).expect("writes");
    assert_eq!(files.in_force().await, ("> 3s".into(), Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_half_written_file_that_happens_to_be_valid_removes_no_rule() {
    let second = rule("1s").replace("rules:\n", "").replace("slow_endpoint", "second");
    let whole = rule("1s") + &second;
    let files = Files::with(|directory| fs::write(directory.join("rules.yaml"), &whole).expect("writes"));
    tokio::time::sleep(Duration::from_millis(10_900)).await;
    // Every other check of the files happens while there is one rule only, or no file at all.
    for gone in [false, true, false, true] {
        if gone {
            fs::remove_file(files.path("rules.yaml")).expect("removes");
        } else {
            fs::write(files.path("rules.yaml"), rule("1s")).expect("writes");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        fs::write(files.path("rules.yaml"), &whole).expect("writes");
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        assert_eq!(files.rules().await.len(), 2);
    }
    assert_eq!(files.reloaded(), 0.0);
    fs::write(files.path("rules.yaml"), rule("1s")).expect("writes");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!((files.rules().await.len(), files.reloaded()), (1, 1.0), "in force within two seconds");
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_in_force_within_seconds_however_rarely_the_rules_are_evaluated() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("rules.yaml"), rule("1s")).expect("writes");
    let rare = Monitor::builder().rules_dir(directory.path()).evaluation_interval(Duration::from_secs(60));
    let monitor = built(rare);
    let files = Files { app: monitor.router(), directory, monitor };
    fs::write(files.path("rules.yaml"), rule("2s")).expect("writes");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(files.rules().await[0]["thresholds"]["high"], "> 2s");
}

/// Kubernetes updates a ConfigMap so: the files are links through `..data`, which it switches to a new directory.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_switched_symbolic_link_is_loaded() {
    use std::os::unix::fs::symlink;
    let version = |directory: &Path, name: &str, limit: &str| {
        fs::create_dir(directory.join(name)).expect("creates");
        fs::write(directory.join(name).join("rules.yaml"), rule(limit)).expect("writes");
    };
    let files = Files::with(|directory| {
        version(directory, "..2026_01", "1s");
        symlink("..2026_01", directory.join("..data")).expect("links");
        symlink("..data/rules.yaml", directory.join("rules.yaml")).expect("links");
    });
    assert_eq!(files.in_force().await.0, "> 1s");
    version(files.directory.path(), "..2026_02", "2s");
    symlink("..2026_02", files.path("..data_tmp")).expect("links");
    fs::rename(files.path("..data_tmp"), files.path("..data")).expect("renames");
    assert_eq!(files.in_force().await, ("> 2s".into(), Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_typing_error_is_reported_with_its_position_and_the_old_rules_stay() {
    let files = Files::with(|directory| fs::write(directory.join("rules.yaml"), rule("1s")).expect("writes"));
    fs::write(files.path("rules.yaml"), rule("1s").replace("avg_duration", "avg_durration")).expect("writes");
    let (threshold, error) = files.in_force().await;
    assert_eq!(threshold, "> 1s");
    let error = error[0].as_str().expect("a problem");
    assert!(error.contains("rules.yaml:4:14: rule \"slow_endpoint\""), "{error}");
    assert!(error.contains("avg_durration") && error.contains("did you mean \"avg_duration\"?"), "{error}");
    assert_eq!(Samples::of(&files.monitor).sum("pinchpoint_rules_reload_total", &["outcome=\"error\""]), 1.0);
    assert_eq!(Samples::of(&files.monitor).sum("pinchpoint_rules_last_reload_successful", &[]), 0.0);
    // Each edit is counted once, and the next good one clears the error.
    files.in_force().await;
    assert_eq!(Samples::of(&files.monitor).sum("pinchpoint_rules_reload_total", &["outcome=\"error\""]), 1.0);
    fs::write(files.path("rules.yaml"), rule("4s")).expect("writes");
    assert_eq!(files.in_force().await, ("> 4s".into(), Value::Null));
}

/// Prometheus sees the step from 0 to 1 only where there was a 0.
#[tokio::test(start_paused = true)]
async fn what_an_alert_on_reloads_needs_is_there_from_the_start() {
    let files = Files::with(|directory| fs::write(directory.join("rules.yaml"), rule("1s")).expect("writes"));
    let loaded = || Samples::of(&files.monitor).sum("pinchpoint_rules_last_reload_timestamp_seconds", &[]);
    let page = fetch(&files.app, "/metrics").await.1;
    for sample in [
        "pinchpoint_rules_reload_total{outcome=\"error\"} 0",
        "pinchpoint_rules_reload_total{outcome=\"ok\"} 0",
        "pinchpoint_rules_last_reload_successful 1",
        "pinchpoint_series_dropped_total 0",
    ] {
        assert!(page.lines().any(|line| line == sample), "{sample} in {page}");
    }
    let first = loaded();
    fs::write(files.path("rules.yaml"), "rules: [").expect("writes");
    assert_eq!(files.in_force().await.0, "> 1s");
    assert_eq!(loaded(), first, "the rules in force are those from before");
    fs::write(files.path("rules.yaml"), rule("2s")).expect("writes");
    assert_eq!(files.in_force().await.0, "> 2s");
    assert!(loaded() > first && first > 1.7e9, "{first} and {}", loaded());
    let page = fetch(&Monitor::builder().build().expect("inside a runtime").router(), "/metrics").await.1;
    assert!(!page.contains("pinchpoint_rules_"), "there are no files: {page}");
}

#[tokio::test(start_paused = true)]
async fn files_that_go_away_leave_the_rules_in_force() {
    let files = Files::with(|directory| fs::write(directory.join("rules.yaml"), rule("1s")).expect("writes"));
    fs::remove_file(files.path("rules.yaml")).expect("removes");
    let (threshold, error) = files.in_force().await;
    assert_eq!(threshold, "> 1s");
    assert!(error[0].as_str().is_some(), "{error}");
    fs::remove_dir(files.directory.path()).expect("removes");
    let (threshold, error) = files.in_force().await;
    assert_eq!(threshold, "> 1s");
    assert!(error[0].as_str().is_some_and(|error| error.contains("cannot be read")), "{error}");
    fs::create_dir(files.directory.path()).expect("creates");
    fs::write(files.path("rules.yaml"), rule("5s")).expect("writes");
    assert_eq!(files.in_force().await, ("> 5s".into(), Value::Null));
}

/// The kernel's log is a regular file whose end no read reaches: it waits for the next message, as a read on a network file
/// system does whose server is gone.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_read_that_never_returns_holds_nothing_up_and_is_reported() {
    if let Err(error) = fs::File::open("/proc/kmsg") {
        eprintln!("skipped: reading /proc/kmsg needs the right to: {error}");
        return;
    }
    let files = Files::with(|directory| fs::write(directory.join("rules.yaml"), rule("1s")).expect("writes"));
    let status =
        async || -> Value { serde_json::from_str(&fetch(&files.app, "/performance/status").await.1).expect("JSON") };
    assert_eq!(files.in_force().await.0, "> 1s");
    assert_eq!(status().await["rules"]["reading_overdue_seconds"], Value::Null);
    std::os::unix::fs::symlink("/proc/kmsg", files.path("z.yaml")).expect("links");
    files.in_force().await;
    let before = status().await;
    assert_eq!(files.in_force().await.0, "> 1s", "the rules stay in force");
    let after = status().await;
    assert_ne!(before["evaluated_at"], after["evaluated_at"], "evaluation goes on");
    assert!(after["rules"]["reading_overdue_seconds"].as_f64() >= Some(6.0), "{after}");
    assert_eq!(after["sampling_overdue_seconds"], Value::Null);
    let pending = Samples::of(&files.monitor).sum("pinchpoint_work_pending_seconds", &["work=\"rules\""]);
    assert!(pending >= 6.0, "{pending}");
    // A read that is under way does not keep the monitor from ending.
    files.monitor.shutdown().await;
}

/// A sampler of the host's may wait for anything.
#[tokio::test(start_paused = true)]
async fn a_sampler_that_never_returns_holds_nothing_up_and_is_reported() {
    struct Stuck(std::sync::mpsc::Receiver<()>);
    impl pinchpoint::Sampler for Stuck {
        fn sample(&mut self) {
            _ = self.0.recv();
        }
    }
    let (release, stuck) = std::sync::mpsc::channel();
    let monitor = built(Monitor::builder().sampler(Stuck(stuck)));
    let app = monitor.router();
    let status = async || -> Value { serde_json::from_str(&fetch(&app, "/performance/status").await.1).expect("JSON") };
    tokio::time::sleep(Duration::from_secs(12)).await;
    let stuck = status().await;
    assert!(stuck["sampling_overdue_seconds"].as_f64() >= Some(10.0), "{stuck}");
    assert!(stuck["evaluated_at"].is_string(), "{stuck}");
    drop(release);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(status().await["sampling_overdue_seconds"], Value::Null);
    monitor.shutdown().await;
}

#[tokio::test]
async fn a_monitor_is_not_built_on_wrong_rules() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("rules.yaml"), "rules: 7\n").expect("writes");
    let error = Monitor::builder().rules_dir(directory.path()).build().expect_err("wrong rules");
    assert!(matches!(error, BuildError::Rules(_)));
    let source = std::error::Error::source(&error).expect("the problems").to_string();
    assert!(source.contains("rules.yaml:1:8"), "{source}");
}
