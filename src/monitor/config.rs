//! [`Config`]: every setting of a monitor, each valid.
//!
//! [`MonitorBuilder`](super::MonitorBuilder) and [`Settings`](super::Settings) write these fields, and the rest of the
//! monitor reads them. The invariant that a change could break: a setting with a range has a type of this file, which
//! `TryFrom` alone makes, so that nothing after the border checks a range again.

use std::{path::PathBuf, sync::Arc, time::Duration};

#[cfg(feature = "deliver")]
use super::deliver::DeliverConfig;
use super::{Access, Control, token};
use crate::context::{Database, Glob, UrlScheme, methods::KnownMethods};

/// The settings of a monitor; [`SETTINGS`](super::settings::SETTINGS) says what each means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    pub(super) rules: RulesSource,
    pub(super) evaluation_interval: Interval,
    pub(super) sampling: Sampling,
    pub(super) max_series: usize,
    pub(super) max_fingerprints: usize,
    pub(super) max_pairs: usize,
    pub(super) slow_requests: usize,
    pub(super) retention: Retention,
    pub(super) history_bytes: HistoryBytes,
    #[cfg(feature = "archive")]
    pub(super) history_file: Option<PathBuf>,
    /// Set if and only if `service_version` is: [`Settings`](super::Settings) refuses one without the other.
    pub(super) service_name: Option<Arc<str>>,
    pub(super) service_version: Option<Arc<str>>,
    pub(super) service_instance_id: Option<Arc<str>>,
    pub(super) ignored_paths: Vec<Glob>,
    pub(super) database: Database,
    pub(super) url_scheme: UrlScheme,
    /// `None` where the variable of OpenTelemetry, or else its conventions, decide.
    pub(super) known_methods: Option<KnownMethods>,
    pub(super) control: Control,
    /// Who may read `/metrics`.
    pub(super) metrics_access: Access,
    /// Who may read what is below `/performance`.
    pub(super) performance_access: Access,
    /// Names of the monitor's own address, in lower case and without ports.
    pub(super) allowed_hosts: Vec<Arc<str>>,
    /// Who is sent alerts.
    #[cfg(feature = "deliver")]
    pub(super) deliver: DeliverConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules: RulesSource::Embedded,
            // A window of 5 min, the rules' usual one, then has 60 steps.
            evaluation_interval: Interval(Duration::from_secs(5)),
            sampling: Sampling::Every(Interval(Duration::from_secs(5))),
            max_series: 10_000,
            max_fingerprints: 1_000,
            max_pairs: 1_000,
            slow_requests: 10,
            retention: Retention(Retention::DEFAULT),
            // Holds the windows and a day by the minute of 1,000 routes.
            history_bytes: HistoryBytes(64_000_000),
            #[cfg(feature = "archive")]
            history_file: None,
            service_name: None,
            service_version: None,
            service_instance_id: None,
            ignored_paths: Vec::new(),
            // OpenTelemetry's name for an SQL database of unknown make.
            database: Database::new("other_sql"),
            url_scheme: UrlScheme::default(),
            known_methods: None,
            control: Control::default(),
            metrics_access: Access::default(),
            performance_access: Access::default(),
            allowed_hosts: Vec::new(),
            #[cfg(feature = "deliver")]
            deliver: DeliverConfig::default(),
        }
    }
}

/// Where the rules come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RulesSource {
    Embedded,
    Directory(PathBuf),
}

/// Whether memory, CPU, file descriptors and the runtime are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    Every(Interval),
    Off,
}

impl Sampling {
    /// Returns the time between two samples; `None` where there are none.
    pub(super) fn interval(self) -> Option<Duration> {
        match self {
            Self::Every(interval) => Some(interval.get()),
            Self::Off => None,
        }
    }
}

/// A value outside the range of its setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutOfRange {
    /// The value, for people.
    pub(super) found: String,
    /// The range, for people.
    pub(super) expected: &'static str,
}

impl Access {
    /// Returns the access if clients can send its token.
    pub(super) fn checked(self) -> Result<Self, OutOfRange> {
        sendable(self.problem()).map(|()| self)
    }
}

impl Control {
    /// Returns the control if clients can send its token.
    pub(super) fn checked(self) -> Result<Self, OutOfRange> {
        sendable(self.problem()).map(|()| self)
    }
}

fn sendable(problem: Option<&'static str>) -> Result<(), OutOfRange> {
    problem.map_or(Ok(()), |problem| Err(OutOfRange { found: problem.to_owned(), expected: token::EXPECTED }))
}

/// The time between two evaluations or two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval(Duration);

impl Interval {
    /// An evaluation of 1,000 endpoints may take 10 ms: at this interval a tenth of a core.
    const SHORTEST: Duration = Duration::from_millis(100);
    /// Trends are kept by the minute, and each minute needs an evaluation.
    const LONGEST: Duration = Duration::from_secs(60);

    pub(super) fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<Duration> for Interval {
    type Error = OutOfRange;

    fn try_from(interval: Duration) -> Result<Self, OutOfRange> {
        match (Self::SHORTEST..=Self::LONGEST).contains(&interval) {
            true => Ok(Self(interval)),
            false => Err(OutOfRange { found: render(interval), expected: "100ms to 1m" }),
        }
    }
}

/// How far back the trends reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retention(Duration);

impl Retention {
    /// `/performance/trends` reports on an hour at least.
    const SHORTEST: Duration = Duration::from_secs(3600);
    /// On a week at most, which is kept by default.
    const DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
    /// A quarter: the longest window of an objective's error budget, of which the trends are the memory.
    const LONGEST: Duration = Duration::from_secs(92 * 24 * 3600);

    pub(super) fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<Duration> for Retention {
    type Error = OutOfRange;

    fn try_from(retention: Duration) -> Result<Self, OutOfRange> {
        match (Self::SHORTEST..=Self::LONGEST).contains(&retention) {
            true => Ok(Self(retention)),
            false => Err(OutOfRange { found: render(retention), expected: "1h to 2208h" }),
        }
    }
}

/// Bytes of memory that windows and trends may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HistoryBytes(usize);

impl HistoryBytes {
    /// The trends may always have a quarter. With less than 250 kB they hold some hours of a few routes, which shows no
    /// trend.
    const LEAST: usize = 1_000_000;

    pub(super) fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for HistoryBytes {
    type Error = OutOfRange;

    fn try_from(bytes: usize) -> Result<Self, OutOfRange> {
        match bytes >= Self::LEAST {
            true => Ok(Self(bytes)),
            false => Err(OutOfRange { found: format!("{bytes} bytes"), expected: "1,000,000 bytes or more" }),
        }
    }
}

fn render(duration: Duration) -> String {
    crate::rules::Unit::Seconds.render(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn check<T, V>(values: impl IntoIterator<Item = V>, expected: Option<&str>)
    where
        T: Debug + TryFrom<V, Error = OutOfRange>,
    {
        for value in values {
            let found = T::try_from(value).err().map(|error| format!("{}; {}", error.found, error.expected));
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn every_range_includes_its_ends() {
        let ms = Duration::from_millis;
        check::<Interval, _>([ms(100), ms(60_000)], None);
        check::<Interval, _>([ms(99)], Some("99ms; 100ms to 1m"));
        check::<Interval, _>([ms(61_000)], Some("1.02m; 100ms to 1m"));
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        check::<Retention, _>([hours(1), hours(2208)], None);
        check::<Retention, _>([hours(0)], Some("0ms; 1h to 2208h"));
        check::<Retention, _>([hours(2209)], Some("2209h; 1h to 2208h"));
        check::<HistoryBytes, _>([1_000_000, usize::MAX], None);
        check::<HistoryBytes, _>([999_999], Some("999999 bytes; 1,000,000 bytes or more"));
    }
}
