//! [`RunResult`]: a whole run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    capacity::Capacity,
    comparison::Comparison,
    endpoint::{EndpointResult, round_micros},
    profile::Profile,
};
use crate::{
    engine::{Arrivals, Model, RunEnd},
    record::{Outage, Recorder, Tally},
    server::ServerSide,
    verdict::{Check, CheckSource, CheckStatus, Conclusion},
    watch::GeneratorHealth,
};

/// The result of a run. Its JSON is read back for comparisons.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct RunResult {
    /// `load-test` or `profile`.
    pub(crate) mode: String,
    /// Version of the tool.
    pub(crate) version: String,
    /// Base URL.
    pub(crate) target: String,
    /// RFC 3339.
    pub(crate) started_at: String,
    /// What `--seed` repeats the random values with; absent in results of earlier versions.
    #[serde(default)]
    pub(crate) seed: Option<u64>,
    /// All requests together.
    #[serde(flatten)]
    pub(crate) total: EndpointResult,
    /// How long the measurement lasted, in seconds.
    pub(crate) duration: f64,
    /// The load.
    pub(crate) load: LoadResult,
    /// Each endpoint, in the order of its first request.
    pub(crate) endpoints: Vec<EndpointResult>,
    /// Requests sent in the warm-up, which no other number here includes.
    pub(crate) warm_up_requests: u64,
    /// Redirects followed: the server counts them as requests, this result does not.
    pub(crate) redirects_followed: u64,
    /// Requests sent a second time, because the server had closed their connection while it was idle: each is counted once.
    #[serde(default)]
    pub(crate) sent_again: u64,
    /// Requests to `/metrics` and `/performance` for the server's side, beside the load.
    pub(crate) server_requests: u64,
    /// Open model: what became of the scheduled iterations.
    pub(crate) arrivals: Option<ArrivalsResult>,
    /// Times in which no request succeeded although some were sent.
    #[serde(default)]
    pub(crate) outages: Vec<OutageResult>,
    /// The load generator itself.
    pub(crate) generator: GeneratorResult,
    /// Passed or not.
    pub(crate) verdict: VerdictResult,
    /// The server's side, if it has Pinchpoint's metrics.
    pub(crate) server: Option<ServerSide>,
    /// Why the server's side is missing or incomplete, if the service answered 401 or 403.
    #[serde(default)]
    pub(crate) server_refused: Option<String>,
    /// The comparison with an earlier run, if `--baseline` names one.
    pub(crate) comparison: Option<Comparison>,
    /// The result of a capacity search.
    pub(crate) capacity: Option<Capacity>,
    /// The result of a profile.
    pub(crate) profile: Option<Profile>,
}

/// The load of a run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct LoadResult {
    /// `closed` or `open`.
    pub(crate) model: String,
    /// Closed: users.
    pub(crate) users: Option<usize>,
    /// Open: iterations a second.
    pub(crate) rate: Option<f64>,
    /// In seconds.
    pub(crate) ramp_up: f64,
    /// In seconds; where it is not 0, what is measured begins after the ramp-up.
    #[serde(default)]
    pub(crate) warm_up: f64,
}

impl LoadResult {
    /// The load of a plan's model.
    pub(crate) fn new(model: Model) -> Self {
        let (name, users, rate, ramp_up) = match model {
            Model::Closed { users, ramp_up, .. } => ("closed", Some(users), None, ramp_up),
            Model::Open { rate, ramp_up, .. } => ("open", None, Some(rate), ramp_up),
        };
        Self { model: name.to_owned(), users, rate, ramp_up: ramp_up.as_secs_f64(), warm_up: 0.0 }
    }

    /// Returns `50 users` or `200/s`.
    pub(crate) fn describe(&self) -> String {
        match (self.users, self.rate) {
            (Some(1), _) => "1 user".to_owned(),
            (Some(users), _) => format!("{users} users"),
            (None, Some(rate)) => format!("{rate}/s"),
            (None, None) => String::new(),
        }
    }
}

/// What became of scheduled iterations.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ArrivalsResult {
    pub(crate) scheduled: u64,
    pub(crate) sent: u64,
    /// Sent more than `late_after` after they were due.
    pub(crate) late: u64,
    /// The late ones that the generator delayed, although a user was free.
    pub(crate) late_by_generator: u64,
    /// Never sent.
    pub(crate) dropped: u64,
    /// In seconds: 10 ms, or a tenth of what quick requests to the fastest endpoint took, if that is more.
    #[serde(default)]
    pub(crate) late_after: f64,
}

impl From<Arrivals> for ArrivalsResult {
    fn from(arrivals: Arrivals) -> Self {
        Self {
            scheduled: arrivals.scheduled,
            sent: arrivals.sent(),
            late: arrivals.late,
            late_by_generator: arrivals.late_by_generator,
            dropped: arrivals.dropped,
            late_after: round_micros(Some(arrivals.late_after.as_secs_f64())),
        }
    }
}

/// A time in which no request succeeded and some failed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct OutageResult {
    /// Of the last success before it, in seconds since the start.
    pub(crate) start: f64,
    /// Until the next success, or the end of the load.
    pub(crate) seconds: f64,
    /// Requests that failed meanwhile. Users wait longer after each failure, so that an outage has few.
    pub(crate) failed: u64,
}

impl OutageResult {
    /// An outage that began so long after the start.
    pub(crate) fn new(start: Duration, outage: Outage) -> Self {
        let [start, seconds] = [start, outage.length()].map(|time| round_micros(Some(time.as_secs_f64())));
        Self { start, seconds, failed: outage.failed }
    }
}

/// The load generator itself during the run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct GeneratorResult {
    pub(crate) saturated: bool,
    pub(crate) reason: Option<String>,
    /// Whether other programs kept its machine so busy that it had to wait for a CPU.
    #[serde(default)]
    pub(crate) machine_busy: bool,
    pub(crate) cores: usize,
    /// Share of its cores that it used.
    pub(crate) cpu_percent: f64,
    pub(crate) cpu_seconds: f64,
    /// `None`, which is `null`, without measured requests.
    pub(crate) cpu_microseconds_per_request: Option<f64>,
    pub(crate) worst_timer_lag: f64,
    pub(crate) peak_memory_bytes: u64,
}

impl GeneratorResult {
    /// The health of the generator, over so many requests.
    pub(crate) fn new(health: &GeneratorHealth, requests: u64) -> Self {
        Self {
            saturated: health.is_saturated(),
            reason: health.saturation.clone(),
            machine_busy: health.is_machine_busy,
            cores: health.cores,
            cpu_percent: (health.cpu_ratio * 1000.0).round() / 10.0,
            cpu_seconds: health.cpu_seconds,
            cpu_microseconds_per_request: (requests > 0)
                .then(|| (health.cpu_seconds * 1e7 / requests as f64).round() / 10.0),
            worst_timer_lag: health.worst_lag.as_secs_f64(),
            peak_memory_bytes: health.peak_memory_bytes,
        }
    }
}

/// Passed or not, and why.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct VerdictResult {
    /// `passed`, `breached`, `generator saturated`, `interrupted` or `set-up error`.
    pub(crate) conclusion: String,
    pub(crate) exit_code: u8,
    pub(crate) checks: Vec<CheckResult>,
}

/// One condition.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct CheckResult {
    /// `threshold`, `rule`, `always` or `baseline`.
    pub(crate) source: String,
    /// Of a rule: its id.
    pub(crate) rule: Option<String>,
    /// Of a rule: the severity.
    pub(crate) severity: Option<String>,
    pub(crate) subject: String,
    pub(crate) condition: String,
    pub(crate) observed: String,
    /// `passed`, `breached` or `noted`.
    pub(crate) status: String,
}

impl VerdictResult {
    /// The conclusion of a run and its checks.
    pub(crate) fn new(conclusion: Conclusion, checks: &[Check]) -> Self {
        Self {
            conclusion: conclusion.name().to_owned(),
            exit_code: conclusion.exit_code(),
            checks: checks.iter().map(CheckResult::new).collect(),
        }
    }
}

impl CheckResult {
    fn new(check: &Check) -> Self {
        let (source, rule, severity) = match &check.source {
            CheckSource::Threshold => ("threshold", None, None),
            CheckSource::Rule { id, severity } => ("rule", Some(id.clone()), Some((*severity).to_owned())),
            CheckSource::Always => ("always", None, None),
            CheckSource::Baseline => ("baseline", None, None),
        };
        let status = match check.status {
            CheckStatus::Passed => "passed",
            CheckStatus::Breached => "breached",
            CheckStatus::Noted => "noted",
        };
        Self {
            source: source.to_owned(),
            rule,
            severity,
            subject: check.subject.clone(),
            condition: check.condition.clone(),
            observed: check.observed.clone(),
            status: status.to_owned(),
        }
    }
}

impl RunResult {
    /// Returns whether the run ended in its warm-up, so that it has no numbers.
    pub(crate) fn is_unmeasured(&self) -> bool {
        self.total.total_requests == 0 && self.warm_up_requests > 0
    }

    /// The measured part of a run; the modes add the verdict, the server's side and the comparison.
    pub(crate) fn measured(
        mode: &str,
        target: &str,
        started_at: String,
        model: Model,
        end: RunEnd,
        tally: &Tally,
        recorder: &Recorder,
    ) -> Self {
        let elapsed = end.elapsed.as_secs_f64();
        let endpoints: Vec<EndpointResult> = tally
            .endpoints()
            .iter()
            .filter(|course| course.tally.count() > 0)
            .map(|course| {
                EndpointResult::new(&course.name.method, &course.name.path, &course.tally, &course.series, elapsed)
            })
            .collect();
        // A single endpoint is its own total, under its own name, as in the brief's example file.
        let (method, path) = match endpoints.as_slice() {
            [only] => (only.method.clone(), only.endpoint.clone()),
            _ => ("*".to_owned(), "*".to_owned()),
        };
        Self {
            mode: mode.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: target.trim_end_matches('/').to_owned(),
            started_at,
            total: EndpointResult::new(&method, &path, tally.total(), tally.series(), elapsed).without_distributions(),
            duration: (elapsed * 1e3).round() / 1e3,
            load: LoadResult::new(model),
            endpoints,
            warm_up_requests: recorder.warm_up(),
            redirects_followed: recorder.redirects(),
            sent_again: recorder.sent_again(),
            ..Self::default()
        }
    }
}
