//! The command line.
//!
//! Every option has the name that the project's brief gives it, and Goose's name beside it. `--mode` and the subcommands
//! lead to the same place.

mod endpoint;
mod header;
mod options;
mod output;
mod payload;
mod rate;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use endpoint::EndpointSpec;
pub(crate) use options::{
    BaselineOptions, CapacityOptions, LoadOptions, MonitorOptions, OnSaturation, OutputOptions, ProfileOptions,
    Progress, RequestOptions, ServerOptions, TargetOptions, VerdictOptions,
};
pub(crate) use output::{OutputFile, OutputFormat};
pub(crate) use payload::{PayloadError, read_payload};

/// Load tests that explain themselves
///
/// Sends requests to a service, measures each to the last byte of its response, judges the result, and says where the
/// time went. Without arguments it plays the customers of the demo shop for 30 seconds.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
#[command(after_help = SHORT_HINT, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do
    #[arg(long, value_enum, value_name = "MODE", default_value = "load-test")]
    pub(crate) mode: Mode,

    #[command(flatten)]
    pub(crate) load_test: LoadTestArgs,

    #[command(flatten)]
    pub(crate) monitor: MonitorOptions,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// The arguments of `--mode profile`; the name of one that means nothing there is an error.
    pub(crate) fn to_profile(&self) -> Result<ProfileArgs, &'static str> {
        self.refuse(&["iterations"])?;
        let LoadTestArgs { target, requests, load, verdict, server, output, .. } = self.load_test.clone();
        let mut profile = ProfileOptions::default();
        profile.iterations = load.iterations.unwrap_or(profile.iterations);
        Ok(ProfileArgs { profile, target, requests, verdict, server, output })
    }

    /// The arguments of `--mode monitor`; the name of one that means nothing there is an error.
    pub(crate) fn to_monitor(&self) -> Result<MonitorArgs, &'static str> {
        self.refuse(&["duration"])?;
        let LoadTestArgs { target, requests, verdict, .. } = &self.load_test;
        for (given, name) in [
            (!target.endpoints.is_empty(), "--endpoints"),
            (!target.scenario_files.is_empty(), "--scenario"),
            (requests.payload.is_some(), "--payload"),
            (requests.method.is_some(), "--method"),
            (!verdict.thresholds.is_empty(), "--threshold"),
        ] {
            if given {
                return Err(name);
            }
        }
        let LoadTestArgs { target, load, server, output, .. } = self.load_test.clone();
        let base_url = server.monitor_url.unwrap_or(target.base_url);
        let target = WatchedService { base_url, duration: load.duration };
        Ok(MonitorArgs { monitor: self.monitor.clone(), target, output })
    }

    /// An option that asks for load, in a mode that has none.
    fn refuse(&self, known: &[&str]) -> Result<(), &'static str> {
        let LoadTestArgs { load, capacity, baseline, .. } = &self.load_test;
        let given = [
            (load.concurrent_users.is_some(), "--concurrent-users"),
            (load.duration.is_some() && !known.contains(&"duration"), "--duration"),
            (load.iterations.is_some() && !known.contains(&"iterations"), "--iterations"),
            (!load.ramp_up.is_zero() || load.increase_rate.is_some(), "--ramp-up"),
            (!load.warm_up.is_zero(), "--warm-up"),
            (load.rate.is_some(), "--rate"),
            (capacity.find_capacity, "--find-capacity"),
            (baseline.baseline.is_some(), "--baseline"),
        ];
        given.into_iter().find(|(given, _)| *given).map_or(Ok(()), |(_, name)| Err(name))
    }
}

/// What the tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Load, a table and a verdict.
    LoadTest,
    /// One endpoint, one request after another.
    Profile,
    /// No load: what the service says of itself, live.
    Monitor,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send load, show a table and a verdict; the same as no subcommand
    #[command(after_long_help = EXAMPLES)]
    Run(Box<LoadTestArgs>),
    /// Measure one endpoint, one request after another; the same as --mode profile
    Profile(Box<ProfileArgs>),
    /// Watch a service's /performance live, without sending load; the same as --mode monitor
    Monitor(Box<MonitorArgs>),
    /// Check scenario files without sending anything
    Check {
        /// Scenario files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Compare two results (.json): what changed, and is it more than noise?
    Compare {
        /// Result of the earlier run
        #[arg(value_name = "OLD.json")]
        old: PathBuf,
        /// Result of the later run
        #[arg(value_name = "NEW.json")]
        new: PathBuf,
    },
}

/// Arguments of a load test.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoadTestArgs {
    #[command(flatten)]
    pub(crate) target: TargetOptions,
    #[command(flatten)]
    pub(crate) requests: RequestOptions,
    #[command(flatten)]
    pub(crate) load: LoadOptions,
    #[command(flatten)]
    pub(crate) verdict: VerdictOptions,
    #[command(flatten)]
    pub(crate) baseline: BaselineOptions,
    #[command(flatten)]
    pub(crate) capacity: CapacityOptions,
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Arguments of a profile.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProfileArgs {
    #[command(flatten)]
    pub(crate) profile: ProfileOptions,
    #[command(flatten)]
    pub(crate) target: TargetOptions,
    #[command(flatten)]
    pub(crate) requests: RequestOptions,
    #[command(flatten)]
    pub(crate) verdict: VerdictOptions,
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Arguments of watching.
#[derive(Args, Clone, Debug)]
pub(crate) struct MonitorArgs {
    #[command(flatten)]
    pub(crate) monitor: MonitorOptions,
    #[command(flatten)]
    pub(crate) target: WatchedService,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// The service that is watched.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Target")]
pub(crate) struct WatchedService {
    /// Address of the service
    #[arg(short = 'H', long, visible_alias = "host", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    #[arg(env = "PINCHPOINT_BASE_URL", value_parser = options::parse_base_url)]
    pub(crate) base_url: reqwest::Url,

    /// How long to watch [default: until Ctrl-C]
    #[arg(short = 't', long, visible_alias = "run-time", value_name = "TIME", value_parser = options::parse_duration)]
    pub(crate) duration: Option<std::time::Duration>,
}

const SHORT_HINT: &str = "--help explains all options and shows examples.";

const EXAMPLES: &str = "\
Examples:
  loadtest --users 50 --run-time 60s
      The demo shop's customers, 50 of them for a minute.
  loadtest --base-url http://localhost:8000 --endpoints /api/health /api/users \\
           --concurrent-users 50 --duration 60 --output results.json
      Two endpoints in turn.
  loadtest -e \"GET /api/users=9\" \"POST /api/users\" --payload '{\"name\": \"ann\"}' --rate 200/s
      Nine reads for each write, 200 requests a second whatever the answers do.
  loadtest -f loadtests/scenarios/flow.yaml -u 20 \\
           --threshold 'p95<300ms' --threshold 'error-rate<1%'
      A scenario with logins, captured values and think time; fails when a condition does not hold.
  loadtest --find-capacity -e /api/search --threshold 'p95<200ms' -o capacity.html
      The most users at which 95 % of the searches take less than 200 ms.
  loadtest --baseline main.json -o branch.json
      Is this build slower than that one? Noise is told from change.
  loadtest profile -e /api/users --iterations 200
  loadtest monitor

Exit codes:
  0    passed
  1    a threshold or rule was breached, or the comparison found a regression
  2    set-up error: nothing was tested (wrong option or scenario, unreachable target,
       unwritable output)
  3    the generator itself was saturated: the result says nothing about the service
  130  interrupted by Ctrl-C; what was measured is shown and written";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_line_of_the_brief_is_understood() {
        for line in [
            "--mode load-test --base-url http://localhost:8000 --endpoints /api/health /api/users --concurrent-users 50 --duration 60 --output results.json",
            "--mode load-test --base-url http://localhost:8000 --endpoints /api/health --concurrent-users 100 --duration 120 --ramp-up 30 --timeout 10 --output load_test_results.csv",
            "--mode profile --base-url http://localhost:8000 --endpoints /api/users --iterations 200 --method GET --output profile_results.json",
            "--users 50 --run-time 60s",
            "--host http://localhost:1 --users 5 --increase-time 3 --run-time 1m",
        ] {
            let arguments = std::iter::once("loadtest").chain(line.split(' '));
            assert!(Cli::try_parse_from(arguments).is_ok(), "{line}");
        }
        let payload = r#"{"name": "test", "email": "test@example.com"}"#;
        let arguments = ["loadtest", "--mode", "profile", "--method", "POST", "--payload", payload, "-e", "/api/users"];
        let cli = Cli::try_parse_from(arguments).unwrap();
        assert_eq!(cli.mode, Mode::Profile);
        assert_eq!(cli.load_test.requests.payload.as_deref(), Some(payload));
    }
}
