//! `pinchpoint rules replay`: what rules would have found over the past.

mod http;
mod plot;
mod report;

use std::{
    collections::HashSet,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use pinchpoint::{
    RuleSet, export,
    replay::{HistoryError, PrometheusReplay, Replay, StoredHistory},
};

use self::{http::PrometheusError, report::Report};
use super::{RulesError, write};
use crate::{
    address::PrometheusAddress,
    args::{ReplayArgs, ReplayFormat},
    export::of_files,
};

/// What is asked of a Prometheus where nothing else is said: its history may be years long.
const LAST_OF_PROMETHEUS: Duration = Duration::from_secs(24 * 3600);

/// Why the past cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The history file cannot be read.
    #[error("{}", path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: HistoryError,
    },
    /// The history file has no minute yet.
    #[error("{}: nothing is stored yet", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// Prometheus did not answer.
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
    /// No rule has this id.
    #[error("no rule is called {id:?}; see {see}")]
    UnknownRule {
        /// The id.
        id: String,
        /// The options that name the rules.
        see: &'static str,
    },
}

/// Checks that each id is that of a rule. `see` are the options that name the rules.
///
/// # Errors
/// Returns the first that is not.
pub(super) fn check_ids<'a>(
    ids: &[String],
    rules: impl Iterator<Item = &'a RuleSet>,
    see: &'static str,
) -> Result<(), ReplayError> {
    let known: HashSet<&str> = rules.flat_map(RuleSet::ids).collect();
    match ids.iter().find(|id| !known.contains(&***id)) {
        Some(unknown) => Err(ReplayError::UnknownRule { id: unknown.clone(), see }),
        None => Ok(()),
    }
}

/// Replays today's rules, and those to try where they are named, and writes the answer.
pub(super) fn run(args: &ReplayArgs, out: &mut impl Write) -> Result<(), RulesError> {
    let today = of_files(&args.today)?;
    let tried = if args.rules.is_empty() { None } else { Some(RuleSet::check_files(&args.rules)?) };
    check_ids(&args.rule, std::iter::once(&today).chain(&tried), "--rules and --today")?;
    let (source, (mut today, mut tried)) = match (&args.history, &args.prometheus) {
        (Some(path), _) => (path.display().to_string(), of_history(path, &today, tried.as_ref(), args.last)?),
        (None, Some(address)) => (address.to_string(), of_prometheus(address, &today, tried.as_ref(), args)?),
        // clap asks for one of them.
        (None, None) => return Ok(()),
    };
    if !args.rule.is_empty() {
        for replay in std::iter::once(&mut today).chain(&mut tried) {
            replay.alerts.retain(|alert| args.rule.contains(&alert.rule));
            replay.remarks.retain(|remark| args.rule.contains(&remark.rule));
        }
    }
    let report = Report::new(source, today, tried);
    let text = match args.to {
        ReplayFormat::Table => report.table(),
        ReplayFormat::Json => report.json(),
        ReplayFormat::Svg => plot::svg(&report),
    };
    write(&text, args.output.as_deref(), out)
}

/// What today's rules find, and those that are tried.
type Replays = (Replay, Option<Replay>);

fn of_history(
    path: &Path,
    today: &RuleSet,
    tried: Option<&RuleSet>,
    last: Option<Duration>,
) -> Result<Replays, ReplayError> {
    let read = StoredHistory::read(path).map_err(|source| ReplayError::History { path: path.to_owned(), source })?;
    if read.period().is_none() {
        return Err(ReplayError::Nothing { path: path.to_owned() });
    }
    if read.unreadable() > 0 {
        // Standard output is the answer.
        let _ = writeln!(
            io::stderr(),
            "warning: {} entries of {} cannot be read and are left out",
            read.unreadable(),
            path.display()
        );
    }
    Ok((read.replay(today, last), tried.map(|rules| read.replay(rules, last))))
}

fn of_prometheus(
    address: &PrometheusAddress,
    today: &RuleSet,
    tried: Option<&RuleSet>,
    args: &ReplayArgs,
) -> Result<Replays, ReplayError> {
    let histograms = if args.native { export::Histograms::Native } else { export::Histograms::Classic };
    let client = http::Client::new(address, args.authorization_file.as_deref())?;
    let range = http::range(args.last.unwrap_or(LAST_OF_PROMETHEUS), args.step);
    let replay = |rules: &RuleSet| -> Result<Replay, PrometheusError> {
        let replay = PrometheusReplay::new(rules, histograms);
        let progress = |done: usize| {
            if io::stderr().is_terminal() {
                let _ = write!(io::stderr(), "\r{done} of {} questions answered ", replay.questions().len());
            }
        };
        let answers = client.ask(replay.questions(), range, progress)?;
        let mut replay = replay.replay(&answers.series, range);
        replay.remarks.extend(answers.refused);
        Ok(replay)
    };
    Ok((replay(today)?, tried.map(replay).transpose()?))
}
