//! The command line of `pinchpoint`.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    address::{PrometheusAddress, PrometheusAddressParser},
    demo::sickness::Fix,
    export::ExportArgs,
};

const EXAMPLES: &str = "\
Examples:
  pinchpoint                                   Start the demo shop on 127.0.0.1:8000
  pinchpoint demo --traffic                    ... with visitors of its own, to see findings within a minute
  pinchpoint demo --fix n-plus-one,leak        ... without these two sicknesses
  pinchpoint rules check rules/*.yaml          Check rule files
  pinchpoint rules test rules/tests/*.yaml     Run their unit tests
  pinchpoint rules replay --history shop.redb  Try them on the past
  pinchpoint rules schema > rules.schema.json  Let an editor check them
  pinchpoint rules reference                   Read what may stand in them
  pinchpoint rules export --to in-process      Have Prometheus alert
  pinchpoint alerts test --config shop.yaml    Send a test to each receiver of alerts
  pinchpoint metrics reference                 Read what /metrics exposes
  pinchpoint causes reference                  Read how each cause is told from others

Exit codes: 0 all is well, 1 it failed or a rule file is wrong, 2 the command line is invalid.";

const DEMO_EXAMPLES: &str = "\
Examples:
  pinchpoint demo                              With every sickness, without visitors
  pinchpoint demo --traffic                    With a few visitors of its own
  pinchpoint demo --traffic --fixed            The same visitors; the monitor finds nothing
  pinchpoint demo --fix n-plus-one,leak        Without these two sicknesses
  pinchpoint demo --listen 8001                On another port; 0 takes any that is free
  pinchpoint demo --rules rules                With these rules; edit them while it runs
  pinchpoint demo --config examples/pinchpoint.yaml
  pinchpoint demo --traffic --alertmanager http://127.0.0.1:9093
  PINCHPOINT_EVALUATION_INTERVAL=1s pinchpoint demo

Then open http://127.0.0.1:8000/ and http://127.0.0.1:8000/performance/bottlenecks.
RUST_LOG=debug shows what happens inside.";

const ALERTS_TEST_EXAMPLES: &str = "\
Examples:
  pinchpoint alerts test --config shop.yaml
  pinchpoint alerts test --alertmanager http://127.0.0.1:9093
  PINCHPOINT_DELIVER='{ webhooks: [{ name: chat, template: slack, url_file: slack.url }] }' pinchpoint alerts test

The settings are those of the service: its file, and PINCHPOINT_… variables. docs/delivery.md describes them.
Exit codes: 0 every receiver accepted it, 1 one did not, or the settings are wrong or name no receiver.";

const CHECK_EXAMPLES: &str = "\
Examples:
  pinchpoint rules check rules/*.yaml
  pinchpoint rules check rules/endpoints.yaml && git commit -a

Reports every mistake with its file, line and column and what was expected.
Exit codes: 0 the files are good, 1 they are not.";

const TEST_EXAMPLES: &str = "\
Examples:
  pinchpoint rules test rules/tests/*.test.yaml
  pinchpoint rules test rules/tests/*.test.yaml --promtool pinchpoint.rules.yml > pinchpoint.rules.test.yml

Of each test that fails it prints what was expected (-) and what was found (+), and at which time.
Exit codes: 0 every test passed, 1 one failed or a file is wrong.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  pinchpoint rules replay --history shop.redb
  pinchpoint rules replay --history shop.redb --rules new/ --last 1d
  pinchpoint rules replay --history shop.redb --rules new/ --to svg --output replay.svg
  pinchpoint rules replay --prometheus http://localhost:9090 --rules new/ --last 7d

Exit codes: 0 it is done, 1 a file is wrong or Prometheus does not answer.";

const SUGGEST_EXAMPLES: &str = "\
Examples:
  pinchpoint rules suggest --history shop.redb
  pinchpoint rules suggest --history shop.redb --rule slow_endpoint --percentile 99.5 > suggested.diff
  patch -p0 < suggested.diff && pinchpoint rules check rules/*.yaml

Exit codes: 0 it is done, also where nothing is suggested, 1 a file is wrong.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  pinchpoint rules schema > rules/rules.schema.json

With this first line in a rule file most editors complete and check it:
  # yaml-language-server: $schema=rules.schema.json";

const EXPORT_EXAMPLES: &str = "\
Examples:
  pinchpoint rules export --to in-process
  pinchpoint rules export --to in-process --output /etc/prometheus/pinchpoint.in-process.rules.yml
  pinchpoint rules export --to prometheus rules/ --output /etc/prometheus/pinchpoint.rules.yml
  pinchpoint rules export --to prometheus-operator --name shop | kubectl apply -f -
  pinchpoint rules export --to prometheus-operator --label release=prometheus --scraped-by pod
  pinchpoint rules export --to mixin --output vendor/pinchpoint
  pinchpoint rules export --to grafana --output /var/lib/grafana/dashboards

Prometheus reads the file where its configuration has, with the path from there:
  rule_files: [pinchpoint.in-process.rules.yml]

Exit codes: 0 it is written, 1 a rule file or the use of an option is wrong, or with --strict a rule
is left out, 2 the command line is invalid.";

const REFERENCE_EXAMPLES: &str = "\
Examples:
  pinchpoint rules reference > docs/rules.md";

const CAUSES_EXAMPLES: &str = "\
Examples:
  pinchpoint causes reference > docs/causes.md";

const METRICS_EXAMPLES: &str = "\
Examples:
  pinchpoint metrics reference > docs/metrics.md";

/// Finds the bottlenecks of an axum service from inside it
///
/// Without a command it starts the demo: a small shop with real sicknesses and the monitor inside.
#[derive(Debug, Parser)]
#[command(name = "pinchpoint", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Options of the demo, where the command is left out.
    #[command(flatten)]
    pub(crate) demo: DemoArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a small shop with real sicknesses and the monitor inside
    ///
    /// The shop is an axum service on SQLite with a few ten thousand rows that it makes itself. Some of its routes are
    /// sick, each behind real work; --fix makes them well.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Check and test rule files, try them on the past, or print their schema, their reference or alerts for Prometheus
    Rules {
        /// What to do with them.
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Try the receivers of alerts
    Alerts {
        /// What to do with them.
        #[command(subcommand)]
        command: AlertsCommand,
    },
    /// Print the reference of the metrics
    Metrics {
        /// What to do with them.
        #[command(subcommand)]
        command: MetricsCommand,
    },
    /// Print the catalogue of causes
    Causes {
        /// What to do with them.
        #[command(subcommand)]
        command: CausesCommand,
    },
}

/// What to do with those who are sent alerts.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Send one test notification to every receiver, and print what came back
    #[command(after_help = ALERTS_TEST_EXAMPLES)]
    Test(AlertsTestArgs),
}

/// Who `alerts test` tries.
#[derive(Clone, Debug, Args)]
pub(crate) struct AlertsTestArgs {
    /// Settings of the monitor, as YAML; PINCHPOINT_… variables go before them [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Try this Alertmanager, too; may be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) alertmanager: Vec<String>,
}

/// What to do with the catalogue of causes.
#[derive(Debug, Subcommand)]
pub(crate) enum CausesCommand {
    /// Print every cause that a finding can have, and how it is told from others, as Markdown
    #[command(after_help = CAUSES_EXAMPLES)]
    Reference,
}

/// How the demo runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Address to listen on; a bare number is a port of 127.0.0.1, and 0 any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Switch sicknesses off, by name
    #[arg(long, value_name = "SICKNESS", value_enum, value_delimiter = ',')]
    pub(crate) fix: Vec<Fix>,
    /// Switch every sickness off
    #[arg(long)]
    pub(crate) fixed: bool,
    /// Visit every route, gently, for as long as the demo runs
    #[arg(long)]
    pub(crate) traffic: bool,
    /// Judge by the rule files in this directory [default: ./rules if it is there, else those built in]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) rules: Option<PathBuf>,
    /// Settings of the monitor, as YAML; PINCHPOINT_… variables go before them [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keep the shop's data and its trends in this directory [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) data: Option<PathBuf>,
    /// Send alerts to this Alertmanager, such as http://127.0.0.1:9093; may be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) alertmanager: Vec<String>,
    /// Stop when standard input ends: with the process that started the demo, however that one ends
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
}

/// What to do with rule files.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Check rule files, all together
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run unit tests of rules
    ///
    /// A file describes traffic or series, and says what must be pending, firing or resolved at which time. The rules are judged as in
    /// a service, with time that the test sets; nothing is started and nothing is sent. docs/rules-testing.md describes the file.
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        /// Files of tests
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Write them for `promtool test rules` instead: they test the alerts in this file of `rules export --to prometheus`
        #[arg(long, value_name = "RULE_FILE")]
        promtool: Option<String>,
    },
    /// Say what rules would have found over the past
    ///
    /// Of the minutes that a service stored in its history file, or of what a Prometheus scraped. With --rules it compares: what would
    /// have fired under those rules, when and for how long, beside the rules of today. The file may be that of a running service, and
    /// is not changed. docs/rules-testing.md says which rules a history file can judge.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Suggest thresholds that follow from what a service measured
    ///
    /// For each route and rule on durations or errors of endpoints: half above a percentile of the values that the rule read minute by
    /// minute in the last day, as overrides in a diff of the rule files, each with what it rests on and how often it would have fired.
    /// Nothing is changed: apply the diff with patch once you have read it, as the last line says.
    #[command(after_help = SUGGEST_EXAMPLES)]
    Suggest(SuggestArgs),
    /// Print the JSON schema of rule files
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Print alerts for Prometheus
    ///
    /// in-process: alerts on what the monitor inside the service reports, its findings above all. They need no thresholds, since
    /// the rules are judged in the service.
    ///
    /// prometheus: the rules themselves, an alert for each and each severity, judged by Prometheus from what /metrics exposes. Rules
    /// that it cannot judge are left out, with a warning each.
    ///
    /// prometheus-operator: either of both as a PrometheusRule, with a ServiceMonitor or a PodMonitor.
    ///
    /// mixin: the alerts of the first two and the dashboards for jsonnet; --output names the directory of its files.
    ///
    /// grafana: dashboards that draw the thresholds of the rules; --output names their directory.
    ///
    /// docs/alerting.md says which to begin with, and how Prometheus and Alertmanager load them.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Box<ExportArgs>),
    /// Print every scope, measure, fact and key of rule files, and the default rules, as Markdown
    #[command(after_help = REFERENCE_EXAMPLES)]
    Reference,
}

/// What `rules replay` looks at, and what it prints.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {
    /// History file of a service, which its setting history_file names
    #[arg(long, value_name = "FILE", conflicts_with = "prometheus", required_unless_present = "prometheus")]
    pub(crate) history: Option<PathBuf>,
    /// Address of a Prometheus that scrapes the service, such as http://localhost:9090
    #[arg(long, value_name = "URL", value_parser = PrometheusAddressParser)]
    pub(crate) prometheus: Option<PrometheusAddress>,
    /// Rule files or their directories to try [default: none, today's rules alone]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) rules: Vec<PathBuf>,
    /// The rules of today, to compare with [default: ./rules if it is there, else those built in]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) today: Vec<PathBuf>,
    /// Only these rules, by their ids
    #[arg(long, value_name = "RULE", num_args = 1..)]
    pub(crate) rule: Vec<String>,
    /// How far back to look, such as 6h or 3d [default: all of a history file, 24h of a Prometheus]
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    pub(crate) last: Option<Duration>,
    /// Time between two looks at Prometheus, in whole seconds
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = length_of_time)]
    pub(crate) step: Duration,
    /// File with the value of the header Authorization for Prometheus, such as: Bearer abc
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub(crate) authorization_file: Option<PathBuf>,
    /// Read native histograms, which a Prometheus has that scrapes them
    #[arg(long, requires = "prometheus")]
    pub(crate) native: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReplayFormat::Table)]
    pub(crate) to: ReplayFormat,
    /// Write it to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What `rules suggest` looks at.
#[derive(Clone, Debug, Args)]
pub(crate) struct SuggestArgs {
    /// History file of a service, which its setting history_file names
    #[arg(long, value_name = "FILE")]
    pub(crate) history: PathBuf,
    /// Rule files or their directories [default: ./rules]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) rules: Vec<PathBuf>,
    /// Only for these rules, by their ids
    #[arg(long, value_name = "RULE", num_args = 1..)]
    pub(crate) rule: Vec<String>,
    /// Percentile of the minutes' values that a threshold rests on, from 50 to 100
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = percentile)]
    pub(crate) percentile: f64,
    /// Write the diff to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What `rules replay` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayFormat {
    /// For a terminal
    Table,
    /// For programs
    Json,
    /// A picture, for a browser
    Svg,
}

/// What to do with the catalogue of metrics.
#[derive(Debug, Subcommand)]
pub(crate) enum MetricsCommand {
    /// Print every metric that /metrics exposes and every label, as Markdown
    #[command(after_help = METRICS_EXAMPLES)]
    Reference,
}

fn percentile(text: &str) -> Result<f64, String> {
    let percentile = text.parse().ok().filter(|percentile| (50.0..=100.0).contains(percentile));
    percentile.ok_or_else(|| "expected a number from 50 to 100".to_owned())
}

/// Reads a length of time in units from seconds to weeks.
fn length_of_time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 30s, 6h or 3d".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    Duration::try_from(length).ok().filter(|length| !length.is_zero()).ok_or_else(expected)
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let wanted = match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.to_owned(),
    };
    let expected = || "expected a port like 8001, or an address with one like 127.0.0.1:8001".to_owned();
    wanted.to_socket_addrs().map_err(|_| expected())?.next().ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::demo::sickness::Sickness;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[track_caller]
    fn demo(line: &str) -> DemoArgs {
        match parsed(line).unwrap() {
            Cli { command: Some(Command::Demo(args)), .. } | Cli { command: None, demo: args } => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_arguments_it_is_the_demo() {
        let args = demo("pinchpoint");
        assert_eq!(args.listen, SocketAddr::from(([127, 0, 0, 1], 8000)));
        assert!(args.fix.is_empty() && !args.fixed && !args.traffic);
        assert_eq!((args.rules, args.config, args.data), (None, None, None));
        assert!(!args.until_stdin_closes, "a demo started by a service manager has no standard input");
    }

    #[test]
    fn the_demo_need_not_be_named() {
        assert!(demo("pinchpoint --traffic").traffic);
        assert!(demo("pinchpoint demo --traffic").traffic);
    }

    #[test]
    fn fixes_are_listed_or_repeated() {
        let expected = [Fix::One(Sickness::NPlusOne), Fix::One(Sickness::Leak)];
        assert_eq!(demo("pinchpoint demo --fix n-plus-one,leak").fix, expected);
        assert_eq!(demo("pinchpoint demo --fix n-plus-one --fix leak").fix, expected);
        assert_eq!(demo("pinchpoint demo --fix all").fix, [Fix::All]);
    }

    #[test]
    fn an_address_may_be_a_port() {
        for line in ["--listen 8001", "--listen :8001", "--listen 127.0.0.1:8001"] {
            let listen = demo(&format!("pinchpoint demo {line}")).listen;
            assert_eq!(listen, SocketAddr::from(([127, 0, 0, 1], 8001)), "{line}");
        }
        assert_eq!(demo("pinchpoint demo --listen [::1]:0").listen.to_string(), "[::1]:0");
    }

    #[test]
    fn rule_files_must_be_named() {
        let error = parsed("pinchpoint rules check").unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn mistakes_are_explained() {
        for (name, line) in [
            ("unknown_fix", "pinchpoint demo --fix n-plus-won"),
            ("bad_address", "pinchpoint demo --listen localhost"),
            ("unknown_export", "pinchpoint rules export --to nagios"),
            ("unknown_command", "pinchpoint rules chek"),
            ("demo_options_before_a_command", "pinchpoint --traffic rules schema"),
        ] {
            insta::assert_snapshot!(format!("mistake_{name}"), parsed(line).unwrap_err());
        }
    }

    #[test]
    fn help_is_a_page_to_learn_from() {
        for (name, line) in [
            ("help", "pinchpoint --help"),
            ("help_demo", "pinchpoint demo --help"),
            ("help_demo_short", "pinchpoint demo -h"),
            ("help_alerts", "pinchpoint alerts --help"),
            ("help_alerts_test", "pinchpoint alerts test --help"),
            ("help_rules", "pinchpoint rules --help"),
            ("help_rules_check", "pinchpoint rules check --help"),
            ("help_rules_export", "pinchpoint rules export --help"),
            ("help_rules_replay", "pinchpoint rules replay --help"),
            ("help_rules_suggest", "pinchpoint rules suggest --help"),
            ("help_rules_test", "pinchpoint rules test --help"),
            ("help_rules_schema", "pinchpoint rules schema --help"),
            ("help_rules_reference", "pinchpoint rules reference --help"),
            ("help_causes", "pinchpoint causes --help"),
            ("help_causes_reference", "pinchpoint causes reference --help"),
            ("help_metrics", "pinchpoint metrics --help"),
            ("help_metrics_reference", "pinchpoint metrics reference --help"),
        ] {
            // A fixed width: the text must not depend on the terminal that runs the tests.
            let help = Cli::command().term_width(100).try_get_matches_from(line.split_whitespace());
            insta::assert_snapshot!(name, help.unwrap_err());
        }
    }
}
