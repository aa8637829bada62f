//! The options, in the groups in which `--help` shows them. Their doc comments are the help text.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, ValueEnum};
use pinchpoint::Severity;
use reqwest::Method;

use super::{
    endpoint::{EndpointSpec, parse_method},
    header::Header,
    monitor_token::{MonitorToken, MonitorTokenParser},
    output::OutputFile,
    rate::Rate,
    service_address::{EndpointParser, ServiceAddress, ServiceAddressParser},
};
use crate::{span::parse_span, verdict::Threshold};

/// The service and the requests.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetOptions {
    /// Address of the service; http://USER:PASSWORD@HOST sends them as Basic credentials
    #[arg(short = 'H', long, visible_alias = "host", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    #[arg(value_parser = ServiceAddressParser, env = "PINCHPOINT_BASE_URL", hide_env_values = true)]
    pub(crate) base_url: ServiceAddress,

    /// Requests to send: one or more of [METHOD ]PATH[=WEIGHT]
    ///
    /// `--endpoints "GET /api/products" "POST /api/cart=3"` sends three POSTs for each GET. After a query, put a space before
    /// the weight: "/api/search?q=am =2". Paths and payloads may contain placeholders: {{ user }}, {{ iteration }},
    /// {{ uuid }}, {{ random(1, 100) }}, {{ env.NAME }}.
    #[arg(short, long, value_name = "ENDPOINT", num_args = 1.., action = ArgAction::Append)]
    #[arg(value_parser = EndpointParser)]
    pub(crate) endpoints: Vec<EndpointSpec>,

    /// Scenario files, instead of --endpoints [default without both: the demo shop's customers]
    #[arg(short = 'f', long = "scenario", visible_alias = "scenario-file", value_name = "FILE", num_args = 1..)]
    pub(crate) scenario_files: Vec<PathBuf>,

    /// Run only these scenarios, separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "endpoints")]
    pub(crate) scenarios: Vec<String>,
}

/// How each request is made.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Requests")]
pub(crate) struct RequestOptions {
    /// Method of endpoints without one [default: GET, or POST with --payload]
    #[arg(long, value_name = "METHOD", requires = "endpoints", value_parser = parse_method)]
    pub(crate) method: Option<Method>,

    /// Body for --endpoints, or @FILE to read it from a file
    ///
    /// Checked to be valid JSON before the test, unless a content-type header names another type. Not sent with GET, HEAD
    /// and OPTIONS.
    #[arg(long, value_name = "BODY")]
    pub(crate) payload: Option<String>,

    /// Header for every request, such as "Authorization: Bearer abc"; repeatable
    #[arg(long = "header", value_name = "HEADER", action = ArgAction::Append)]
    pub(crate) headers: Vec<Header>,

    /// Longest time until the last byte of a response [default: 30s; with --mode monitor: 5s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Accept certificates that fail verification
    #[arg(long, visible_alias = "insecure")]
    pub(crate) accept_invalid_certs: bool,

    /// Do not request compressed responses
    #[arg(long)]
    pub(crate) no_gzip: bool,

    /// Follow up to N redirects, 10 without a number; each is counted [default: a redirect is the response]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10")]
    pub(crate) follow_redirects: Option<usize>,

    /// Seed of everything random, to repeat the values of an earlier test [default: another one each time]
    ///
    /// {{ uuid }}, {{ random(…) }}, [*] in captures, rows in random order and think times follow from it. Each result
    /// names its seed.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// How much load, and for how long.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct LoadOptions {
    /// Number of users; each waits for a response before it sends the next request [default: 10]
    #[arg(short = 'u', long, visible_alias = "users", value_name = "N", value_parser = parse_users)]
    pub(crate) concurrent_users: Option<usize>,

    /// How long the load is held after the ramp-up, such as 60s, 1m30s or 1h [default: 30s]
    #[arg(short = 't', long, visible_alias = "run-time", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,

    /// Time over which users are started, or over which --rate is reached
    #[arg(short = 's', long, visible_alias = "increase-time", value_name = "TIME", default_value = "0s")]
    #[arg(value_parser = parse_span)]
    pub(crate) ramp_up: Duration,

    /// Users to start a second, instead of --ramp-up
    #[arg(short = 'r', long, value_name = "N", conflicts_with_all = ["ramp_up", "rate"], value_parser = parse_positive)]
    pub(crate) increase_rate: Option<f64>,

    /// Iterations of each user; without --duration, the test ends with the last one
    #[arg(long, value_name = "N", value_parser = parse_users, conflicts_with = "rate")]
    pub(crate) iterations: Option<usize>,

    /// Open model: start iterations at this rate, such as 200/s, however slow the responses are
    ///
    /// Users who wait for responses send less to a slow server, and so hide how slow it is. At a constant rate each latency
    /// counts from when the iteration was due. The report shows how many were scheduled, sent, late and dropped.
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,

    /// Most iterations in flight with --rate; further ones wait and are late [default: --users, else 1000]
    #[arg(long, value_name = "N", requires = "rate", conflicts_with = "concurrent_users", value_parser = parse_users)]
    pub(crate) max_in_flight: Option<usize>,

    /// Time at the start whose requests are left out of the result, at least the ramp-up; a part of --duration
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_span)]
    pub(crate) warm_up: Duration,

    /// Time that requests in flight at the end may still take before they are counted as cancelled
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_span)]
    pub(crate) grace: Duration,
}

/// The conditions for passing.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Verdict")]
pub(crate) struct VerdictOptions {
    /// Condition, such as p95<200ms, error-rate<1% or "p99<2s for GET /api/search"; repeatable
    ///
    /// Metrics: p50 … p99.9, first-byte-p95, avg, max, error-rate, rps; with --rate also dropped and late, the shares of the
    /// scheduled iterations that sent nothing or began late. Without a condition on error-rate, a test fails if more than
    /// 10 % of its requests fail, and without one on dropped, if more than 1 % of its load was dropped, whatever the rules
    /// say.
    #[arg(long = "threshold", value_name = "CONDITION", action = ArgAction::Append)]
    pub(crate) thresholds: Vec<Threshold>,

    /// The service's rule file or folder; its endpoint rules judge what users saw
    ///
    /// By default the folder `rules` if it exists, else the built-in rules.
    #[arg(long, value_name = "PATH", conflicts_with = "no_rules")]
    pub(crate) rules: Option<PathBuf>,

    /// Do not judge by rules
    #[arg(long)]
    pub(crate) no_rules: bool,

    /// Lowest severity at which a breached rule fails the test
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "high", conflicts_with = "no_rules")]
    pub(crate) fail_on: FailOn,

    /// What to do if the load generator itself was the bottleneck
    #[arg(long, value_enum, value_name = "ACTION", default_value = "fail")]
    pub(crate) saturation: OnSaturation,
}

/// Comparing with an earlier run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Verdict")]
pub(crate) struct BaselineOptions {
    /// Result (.json) of an earlier run; the test fails if anything got significantly worse
    #[arg(long, value_name = "FILE", visible_alias = "baseline-file")]
    pub(crate) baseline: Option<PathBuf>,
}

/// Searching for the highest load that the service bears.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Capacity")]
pub(crate) struct CapacityOptions {
    /// Find the highest load at which the verdict is still "passed"
    ///
    /// Starts with --users or --rate and doubles it until the verdict fails; then bisects, and confirms the result with a
    /// step three times as long. A step that fails is tried again before it counts. --duration is the length of a step
    /// [default here: 10s].
    #[arg(long, conflicts_with_all = ["iterations", "baseline"])]
    pub(crate) find_capacity: bool,

    /// Highest load to try
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "find_capacity", value_parser = parse_users)]
    pub(crate) max_load: usize,
}

/// Where the service reports what it saw.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server side")]
pub(crate) struct ServerOptions {
    /// Address that serves /performance and /metrics [default: --base-url]
    ///
    /// In a load test, --header is sent there only if scheme, host and port are those of --base-url.
    #[arg(long, value_name = "URL", conflicts_with = "no_server", value_parser = ServiceAddressParser)]
    pub(crate) monitor_url: Option<ServiceAddress>,

    /// Token of a service that guards /performance and /metrics, sent as Bearer with these requests alone
    ///
    /// In the place of other credentials, also to another origin than that of --base-url. One token has to open both pages:
    /// the same one for both, or that of the service's control endpoints.
    #[arg(long, value_name = "TOKEN", env = "PINCHPOINT_MONITOR_TOKEN", hide_env_values = true)]
    #[arg(value_parser = MonitorTokenParser)]
    pub(crate) monitor_token: Option<MonitorToken>,

    /// Do not read /performance and /metrics
    #[arg(long)]
    pub(crate) no_server: bool,
}

/// What is printed and written.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Write the result: .json, .csv, .html, .md or .xml (JUnit), or - for JSON on standard output; repeatable
    #[arg(short, long = "output", visible_alias = "report-file", value_name = "FILE", action = ArgAction::Append)]
    pub(crate) outputs: Vec<OutputFile>,

    /// How to show progress
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: Progress,

    /// Print only the verdict, without progress and tables
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl OutputOptions {
    /// Whether standard output is one of the outputs.
    pub(crate) fn takes_standard_output(&self) -> bool {
        self.outputs.iter().any(OutputFile::is_standard_output)
    }
}

/// Profiling one endpoint.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Profile")]
pub(crate) struct ProfileOptions {
    /// Number of measured requests
    #[arg(long, value_name = "N", default_value_t = Self::default().iterations, value_parser = parse_users)]
    pub(crate) iterations: usize,

    /// Number of requests before them that are left out of the result
    #[arg(long, value_name = "N", default_value_t = Self::default().warm_up)]
    pub(crate) warm_up: usize,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self { iterations: 100, warm_up: 10 }
    }
}

/// Watching a service.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Monitor")]
pub(crate) struct MonitorOptions {
    /// Time between two observations
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    pub(crate) interval: Duration,
}

/// The lowest severity that fails a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Any breach.
    Low,
    /// Medium, high or critical.
    Medium,
    /// High or critical.
    High,
    /// Critical only.
    Critical,
}

impl FailOn {
    /// Returns it as the severity of a rule.
    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
        }
    }
}

/// What a saturated generator does to the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnSaturation {
    /// The test says nothing about the service: exit with 3.
    Fail,
    /// The report says so, and the verdict stands.
    Warn,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// Redrawn in place if standard error is a terminal, else lines.
    Auto,
    /// A line every few seconds.
    Lines,
    /// No progress.
    Off,
}

fn parse_users(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1_000_000).contains(n))
        .ok_or_else(|| "expected a whole number from 1 to 1000000".to_owned())
}

fn parse_positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = parse_span(text).map_err(|error| error.to_string())?;
    if span.is_zero() { Err("expected a duration above 0".to_owned()) } else { Ok(span) }
}
