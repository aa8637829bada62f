//! The command line.
//!
//! Every option has the name that the project's brief gives it, and Goose's name as an alias. `--mode` and the subcommands
//! do the same. This room parses and checks each option by itself; whether they make a plan together is decided in
//! [`crate::plan`].

mod endpoint;
mod header;
mod monitor_token;
mod options;
mod output;
mod payload;
mod rate;
mod service_address;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Arg, ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, parser::ValueSource,
};
use thiserror::Error;

pub(crate) use endpoint::EndpointSpec;
pub(crate) use header::Header;
pub(crate) use monitor_token::MonitorToken;
use monitor_token::MonitorTokenParser;
pub(crate) use options::{
    BaselineOptions, CapacityOptions, LoadOptions, MonitorOptions, OnSaturation, OutputOptions, ProfileOptions,
    Progress, RequestOptions, ServerOptions, TargetOptions, VerdictOptions,
};
pub(crate) use output::{OutputFile, OutputFormat};
pub(crate) use payload::{PayloadError, read_payload};
pub(crate) use service_address::ServiceAddress;
use service_address::ServiceAddressParser;

const SHORT_HINT: &str = "--help explains all options and shows examples.";
const EXAMPLES: &str = "\
Examples, each of which works on what `cargo run` starts:
  loadtest --users 50 --run-time 60s
      The demo shop's customers, 50 of them for a minute.
  loadtest --base-url http://localhost:8000 --endpoints /api/products /api/categories \\
           --concurrent-users 50 --duration 60 --output results.json
      Two endpoints, one after the other.
  loadtest -e \"GET /api/products=9\" \"POST /api/cart\" --rate 50/s \\
           --payload '{\"cart\": \"{{ uuid }}\", \"product_id\": {{ random(1, 100) }}, \"quantity\": 1}'
      Nine reads for each write, 50 requests a second however slow the responses are.
  loadtest -f loadtests/scenarios/flow.yaml -u 20 \\
           --threshold 'p95<2s' --threshold 'error-rate<1%'
      A scenario with logins, captured values and think time; fails if a condition does not hold.
  loadtest --find-capacity -e '/api/search?q=am' --threshold 'p95<200ms' -o capacity.html
      The highest number of users at which 95 % of the searches take less than 200 ms.
  loadtest -e /api/products -o main.json
  loadtest -e /api/products --baseline main.json -o branch.json
      Whether the second build is slower than the first one, by more than noise.
  loadtest profile -e /api/products --iterations 200
      The distribution of 200 requests, sent one after another.
  loadtest monitor
      What the service reports about itself, every two seconds.

Exit codes:
  0    passed
  1    a threshold or rule was breached, more than 10 % of the requests failed, more than
       1 % of an open load was dropped, or the comparison found a regression
  2    set-up error: nothing was tested (wrong option or scenario, unreachable target,
       unwritable output), or nothing could be compared
  3    the load generator itself was saturated, so the result says nothing about the service
  130  interrupted by Ctrl-C; the result so far is shown and written";

/// Load tests that explain themselves
///
/// Sends requests to a service, measures each to the last byte of its response, judges the result, and shows where the
/// time went. Without arguments it acts as the customers of the demo shop for 30 seconds.
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
    /// Parses a command line.
    ///
    /// # Errors
    /// Returns Clap's own error, or names an option that the chosen mode would ignore.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, CliError> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let cli = Self::from_arg_matches(&matches)?;
        if cli.command.is_none() {
            let (mode, twin) = cli.mode.names();
            let twin = command.find_subcommand(twin).expect("each mode is a subcommand too");
            let unread = |arg: &&Arg| {
                let id = arg.get_id().as_str();
                let known = id == "mode"
                    || (cli.mode == Mode::Monitor && id == "monitor_url")
                    // A profile's warm-up is a number of requests and not a duration.
                    || (id != "warm_up" || cli.mode != Mode::Profile) && twin.get_arguments().any(|arg| arg.get_id() == id);
                matches.value_source(id) == Some(ValueSource::CommandLine) && !known
            };
            if let Some(arg) = command.get_arguments().find(unread) {
                let option = format!("--{}", arg.get_long().unwrap_or_default());
                return Err(CliError::NotInMode { option, mode });
            }
        }
        Ok(cli)
    }

    /// Returns the arguments of `--mode profile`.
    pub(crate) fn to_profile(&self) -> ProfileArgs {
        let LoadTestArgs { target, requests, load, verdict, server, output, .. } = self.load_test.clone();
        let mut profile = ProfileOptions::default();
        profile.iterations = load.iterations.unwrap_or(profile.iterations);
        ProfileArgs { profile, target, requests, verdict, server, output }
    }

    /// Returns the arguments of `--mode monitor`.
    pub(crate) fn to_monitor(&self) -> MonitorArgs {
        let LoadTestArgs { target, requests, load, server, output, .. } = self.load_test.clone();
        let base_url = server.monitor_url.unwrap_or(target.base_url);
        let target = WatchedService {
            base_url,
            duration: load.duration,
            headers: requests.headers,
            timeout: requests.timeout,
            accept_invalid_certs: requests.accept_invalid_certs,
            monitor_token: server.monitor_token,
        };
        MonitorArgs { monitor: self.monitor.clone(), target, output }
    }
}

/// A command line that cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// Clap's own error. `--help` and `--version` are errors to Clap, too.
    #[error(transparent)]
    Clap(#[from] clap::Error),
    /// An option belongs to another mode.
    #[error("{option} means nothing with --mode {mode}")]
    NotInMode {
        /// The option.
        option: String,
        /// The mode.
        mode: &'static str,
    },
}

/// What the tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Send load, then show tables and a verdict.
    LoadTest,
    /// Measure one endpoint, one request after another.
    Profile,
    /// Send no load; show what the service reports, live.
    Monitor,
}

impl Mode {
    /// Returns its name and that of the subcommand that does the same.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::LoadTest => ("load-test", "run"),
            Self::Profile => ("profile", "profile"),
            Self::Monitor => ("monitor", "monitor"),
        }
    }
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send load, then show tables and a verdict; the same as no subcommand
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
    /// Compare two results (.json) and report which differences are not noise
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

/// Arguments of the monitor mode.
#[derive(Args, Clone, Debug)]
pub(crate) struct MonitorArgs {
    #[command(flatten)]
    pub(crate) monitor: MonitorOptions,
    #[command(flatten)]
    pub(crate) target: WatchedService,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// The service to watch.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Target")]
pub(crate) struct WatchedService {
    /// Address of the service; http://USER:PASSWORD@HOST sends them as Basic credentials
    #[arg(short = 'H', long, visible_alias = "host", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    #[arg(env = "PINCHPOINT_BASE_URL", hide_env_values = true, value_parser = ServiceAddressParser)]
    pub(crate) base_url: ServiceAddress,

    /// How long to watch [default: until Ctrl-C]
    #[arg(short = 't', long, visible_alias = "run-time", value_name = "TIME", value_parser = options::parse_duration)]
    pub(crate) duration: Option<Duration>,

    /// Header for every request, such as "Authorization: Bearer abc"; repeatable
    #[arg(long = "header", value_name = "HEADER", action = ArgAction::Append)]
    pub(crate) headers: Vec<Header>,

    /// Token of a service that guards /performance and /metrics, in the place of other credentials
    #[arg(long, value_name = "TOKEN", env = "PINCHPOINT_MONITOR_TOKEN", hide_env_values = true)]
    #[arg(value_parser = MonitorTokenParser)]
    pub(crate) monitor_token: Option<MonitorToken>,

    /// Longest time until the last byte of a response [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = options::parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Accept certificates that fail verification
    #[arg(long, visible_alias = "insecure")]
    pub(crate) accept_invalid_certs: bool,
}

#[cfg(test)]
mod tests {
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
