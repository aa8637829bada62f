//! `pinchpoint rules export`: alerts for Prometheus, and whatever it and Grafana load beside them.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use pinchpoint::{
    LoadError, RuleSet,
    export::{
        self, Exported, Histograms, LabelName, ObjectLabel, ObjectName, Operator, PortName, ScrapedBy, SecretKey,
    },
};

use crate::rules::{RulesError, write, write_file};

/// What is exported, and how.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ExportArgs {
    /// What to print
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) to: Export,
    /// Rule files or their directories [default: ./rules if it is there, else those built in]
    #[arg(value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// Read native histograms, which a Prometheus has that scrapes them; of the rules
    #[arg(long)]
    pub(crate) native: bool,
    /// Fail where a rule is left out
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write it to this file, or to this directory what has several files [default: standard output]
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// How the operator finds and scrapes the service.
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// What `rules export` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Export {
    /// A rule file of Prometheus: alerts on what the monitor inside the service reports
    #[default]
    InProcess,
    /// A rule file of Prometheus: the rules as alerts that Prometheus judges
    Prometheus,
    /// Resources of the Prometheus Operator: the alerts, and how the service is scraped
    PrometheusOperator,
    /// A monitoring mixin: jsonnet, and the JSON that it imports
    Mixin,
    /// Dashboards of Grafana
    Grafana,
}

/// Options of `--to prometheus-operator`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of --to prometheus-operator")]
pub(crate) struct OperatorArgs {
    /// Alerts of the PrometheusRule [default: in-process]
    #[arg(long, value_name = "WHICH", value_enum)]
    pub(crate) alerts: Option<Alerts>,
    /// Name of the service and of its resources [default: pinchpoint]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<ObjectName>,
    /// Namespace of the resources [default: that of kubectl's context]
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<LabelName>,
    /// Label of the resources, by which the cluster's Prometheus selects them; repeat it for more
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<ObjectLabel>,
    /// Label that the Service or the pods are found by; the value of the first is Prometheus's job
    /// [default: app.kubernetes.io/name and the name of the service]
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) selector: Vec<ObjectLabel>,
    /// Name of the port with /metrics [default: http]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<PortName>,
    /// What finds the processes [default: service]
    #[arg(long, value_name = "BY", value_enum)]
    pub(crate) scraped_by: Option<Scraper>,
    /// Key of the Secret that has the token of a guarded /metrics
    #[arg(long, value_name = "NAME:KEY")]
    pub(crate) token_secret: Option<SecretKey>,
}

/// Which alerts a PrometheusRule has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Alerts {
    /// Those on what the monitor inside the service reports
    InProcess,
    /// The rules, judged by Prometheus
    Rules,
}

/// What finds the processes of a service in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scraper {
    /// A ServiceMonitor
    Service,
    /// A PodMonitor
    Pod,
    /// What the cluster has already: a PrometheusRule is all that is printed
    None,
}

impl OperatorArgs {
    /// Returns an option that was given.
    fn given(&self) -> Option<&'static str> {
        let options = [
            (self.alerts.is_some(), "--alerts"),
            (self.name.is_some(), "--name"),
            (self.namespace.is_some(), "--namespace"),
            (!self.label.is_empty(), "--label"),
            (self.scraped_by.is_some(), "--scraped-by"),
        ];
        first(&options).or_else(|| self.of_scraping())
    }

    /// Returns an option that was given and says how the processes are found and scraped.
    fn of_scraping(&self) -> Option<&'static str> {
        first(&[
            (!self.selector.is_empty(), "--selector"),
            (self.port.is_some(), "--port"),
            (self.token_secret.is_some(), "--token-secret"),
        ])
    }

    fn resources(&self) -> Operator {
        let by = match self.scraped_by {
            None | Some(Scraper::Service) => ScrapedBy::Service,
            Some(Scraper::Pod) => ScrapedBy::Pod,
            Some(Scraper::None) => ScrapedBy::Nothing,
        };
        let name = self.name.clone().unwrap_or_else(|| "pinchpoint".parse().expect("a name of lower-case letters"));
        let all = Operator::new(name).labels(self.label.clone()).selector(self.selector.clone()).scraped_by(by);
        let all = self.namespace.iter().cloned().fold(all, Operator::namespace);
        let all = self.port.iter().cloned().fold(all, Operator::port);
        self.token_secret.iter().cloned().fold(all, Operator::token)
    }
}

/// Returns the first option that was given.
fn first(options: &[(bool, &'static str)]) -> Option<&'static str> {
    options.iter().find_map(|(is_given, name)| is_given.then_some(*name))
}

/// Checks that nothing was given that would be ignored.
fn check(arguments: &ExportArgs) -> Result<(), RulesError> {
    let ExportArgs { to, rules, native, strict, operator, .. } = arguments;
    let is_operator = *to == Export::PrometheusOperator;
    let are_judged_there = match to {
        Export::InProcess | Export::Grafana => false,
        Export::PrometheusOperator => operator.alerts == Some(Alerts::Rules),
        Export::Prometheus | Export::Mixin => true,
    };
    let of_judged = "--to prometheus, --to mixin and --to prometheus-operator --alerts rules";
    let of_rules = "--to prometheus, --to mixin, --to grafana and --to prometheus-operator --alerts rules";
    let ignored = [
        (operator.given().filter(|_| !is_operator), "--to prometheus-operator"),
        (operator.of_scraping().filter(|_| operator.scraped_by == Some(Scraper::None)), "--scraped-by service or pod"),
        (first(&[(*native, "--native"), (*strict, "--strict")]).filter(|_| !are_judged_there), of_judged),
        ((!rules.is_empty() && !are_judged_there && *to != Export::Grafana).then_some("a rule file"), of_rules),
    ];
    match ignored.into_iter().find_map(|(option, of)| Some(RulesError::Option { option: option?, of })) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Writes what is exported to `out`, or to the file that the command names.
///
/// # Errors
/// Returns an error when a rule file has a mistake, when an option is of something else, or when the text cannot be written.
pub(crate) fn run(arguments: &ExportArgs, out: &mut impl Write) -> Result<(), RulesError> {
    check(arguments)?;
    let ExportArgs { to, rules, native, output, operator, .. } = arguments;
    let histograms = if *native { Histograms::Native } else { Histograms::Classic };
    let judged = |Exported { file, left_out }| complete(left_out, arguments).map(|()| file);
    let answer = match to {
        Export::InProcess => export::in_process(),
        Export::Prometheus => judged(export::prometheus(&of_files(rules)?, histograms))?,
        Export::PrometheusOperator if operator.alerts == Some(Alerts::Rules) => {
            judged(operator.resources().rules(&of_files(rules)?, histograms))?
        }
        Export::PrometheusOperator => operator.resources().in_process(),
        Export::Mixin => {
            let mixin = export::mixin(&of_files(rules)?, histograms);
            complete(mixin.left_out, arguments)?;
            return write_all(&mixin.files, *to, output.as_deref());
        }
        Export::Grafana => return write_all(&export::grafana(&of_files(rules)?), *to, output.as_deref()),
    };
    write(&answer, output.as_deref(), out)
}

/// Writes files below a directory, which is made where it is missing.
fn write_all(files: &[export::Document], to: Export, directory: Option<&Path>) -> Result<(), RulesError> {
    let name = to.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let directory = directory.ok_or(RulesError::Directory { to: name })?;
    for export::Document { path, text } in files {
        let path = directory.join(path);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(|source| RulesError::File { path: parent.to_owned(), source })?;
        write_file(text, &path)?;
    }
    Ok(())
}

/// Returns the rules of the files, those in `./rules`, or those built in.
pub(crate) fn of_files(files: &[PathBuf]) -> Result<RuleSet, LoadError> {
    let here = Path::new("rules");
    match files {
        [] if here.is_dir() => RuleSet::load_dir(here),
        [] => Ok(RuleSet::embedded()),
        files => RuleSet::check_files(files),
    }
}

/// Says on standard error which rules are left out.
///
/// # Errors
/// Returns them where `--strict` is given.
fn complete(left_out: Vec<export::LeftOut>, arguments: &ExportArgs) -> Result<(), RulesError> {
    for export::LeftOut { rule, reason } in &left_out {
        // Standard output is the file.
        let _ = writeln!(io::stderr(), "warning: {rule} is left out: {reason}");
    }
    if arguments.strict && !left_out.is_empty() {
        return Err(RulesError::LeftOut(left_out.into_iter().map(|left_out| left_out.rule).collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command, RulesCommand};

    #[track_caller]
    fn answer(command: &ExportArgs) -> String {
        let mut out = Vec::new();
        run(command, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn parsed(line: &str) -> ExportArgs {
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Some(Command::Rules { command: RulesCommand::Export(arguments) }) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    fn export(to: Export, rules: Vec<PathBuf>, strict: bool, output: Option<PathBuf>) -> ExportArgs {
        ExportArgs { to, rules, strict, output, ..Default::default() }
    }

    #[test]
    fn a_rule_that_prometheus_cannot_judge_is_left_out_and_fails_where_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules.yaml");
        let rule = |id: &str, measure: &str| {
            format!(
                "  - id: {id}\n    scope: endpoint\n    measure: {measure}\n    thresholds: {{ high: \"> 1s\" }}\n    description: slow\n    impact: \"{{value}}\"\n"
            )
        };
        let rules = format!("rules:\n{}{}", rule("slow", "avg_duration"), rule("slowest", "max_duration"));
        std::fs::write(&file, rules).unwrap();
        let written = answer(&export(Export::Prometheus, vec![file.clone()], false, None));
        assert!(written.contains("alert: SlowHigh") && !written.contains("alert: SlowestHigh"), "{written}");
        assert!(written.contains("# - slowest: max_duration: a histogram"), "{written}");
        let strict = run(&export(Export::Prometheus, vec![file], true, None), &mut io::sink()).unwrap_err();
        assert_eq!(strict.to_string(), "left out, since Prometheus cannot judge them: slowest");
    }

    #[test]
    fn alerts_go_to_the_file_that_is_named_and_nowhere_else() {
        let export = |output| export(Export::InProcess, Vec::new(), false, output);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts.yml");
        assert_eq!(answer(&export(Some(path.clone()))), "");
        assert_eq!(fs::read_to_string(&path).unwrap(), answer(&export(None)));
        let missing = directory.path().join("no/such/alerts.yml");
        let error = run(&export(Some(missing.clone())), &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}", missing.display()));
    }

    #[test]
    fn options_reach_the_resources_of_the_operator() {
        let line = "pinchpoint rules export --to prometheus-operator --alerts rules --name shop --namespace web --label a=b \
                    --label c=d --selector app=shop --port metrics --scraped-by pod --token-secret shop-monitor:token";
        let resources = answer(&parsed(line));
        for expected in [
            "- alert: SlowEndpointHigh",
            "kind: PodMonitor\nmetadata:\n  name: shop\n  namespace: web\n  labels:\n    a: b\n    c: d\n",
            "      app: shop\n",
            "  - port: metrics\n",
            "        name: shop-monitor\n        key: token\n",
        ] {
            assert!(resources.contains(expected), "{expected}");
        }
        let bare = answer(&parsed("pinchpoint rules export --to prometheus-operator --scraped-by none"));
        assert!(bare.contains("- alert: PinchpointBottleneck") && !bare.contains("Monitor\nmetadata"), "{bare}");
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let check = |options: &str, expected: &str| {
            let error = run(&parsed(&format!("pinchpoint rules export --to {options}")), &mut io::sink()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("mixin --port http", "--port is for --to prometheus-operator only");
        check("grafana --label a=b", "--label is for --to prometheus-operator only");
        let of_scraping = "--port is for --scraped-by service or pod only";
        check("prometheus-operator --scraped-by none --port http", of_scraping);
        let of_judged = "--to prometheus, --to mixin and --to prometheus-operator --alerts rules only";
        check("grafana --strict", &format!("--strict is for {of_judged}"));
        check("in-process --native", &format!("--native is for {of_judged}"));
        check("prometheus-operator --strict", &format!("--strict is for {of_judged}"));
        let of_rules = "--to prometheus, --to mixin, --to grafana and --to prometheus-operator --alerts rules only";
        check("in-process no/such/file.yaml", &format!("a rule file is for {of_rules}"));
        check("prometheus-operator no/such/file.yaml", &format!("a rule file is for {of_rules}"));
    }

    #[test]
    fn several_files_go_to_a_directory_that_must_be_named() {
        let mixin = |output| ExportArgs { to: Export::Mixin, output, ..Default::default() };
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(answer(&mixin(Some(directory.path().join("new/prometheus")))), "");
        for file in ["mixin.libsonnet", "mixin.in-process.json", "mixin.rules.json", "grafana/overview.json"] {
            assert!(directory.path().join("new/prometheus").join(file).is_file(), "{file}");
        }
        let error = run(&mixin(None), &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "--to mixin writes several files; name their directory with --output");
    }
}
