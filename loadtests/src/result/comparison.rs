//! [`Comparison`]: two runs compared.

use serde::{Deserialize, Serialize};

use crate::span::show_seconds;

/// Name of the measure that is a share and not a time.
pub(crate) const ERROR_RATE: &str = "error rate";

/// The changes between two runs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Comparison {
    /// When the earlier run began.
    pub(crate) baseline_started_at: String,
    /// How long a point of time lasts that is compared, in seconds; absent where nothing could be compared.
    #[serde(default)]
    pub(crate) point_seconds: Option<f64>,
    /// Each measure of each endpoint that both runs have.
    pub(crate) changes: Vec<Change>,
    /// Endpoints that only one of the runs has.
    pub(crate) only_in_one: Vec<String>,
}

/// One measure of one endpoint.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Change {
    /// Such as `GET /api/users`.
    pub(crate) endpoint: String,
    /// `p50`, `p95` (seconds) or `error rate` (share).
    pub(crate) measure: String,
    /// Median point of the earlier run; of the error rate, the rate of all requests.
    pub(crate) old: f64,
    /// The same of the later run.
    pub(crate) new: f64,
    /// Difference in percent of the old value; absent where that is 0.
    pub(crate) change_percent: Option<f64>,
    /// Chance of so large a difference between two runs of one build, corrected for the number of comparisons; absent
    /// with too little data.
    pub(crate) p_value: Option<f64>,
    /// The judgement.
    pub(crate) direction: Direction,
}

/// The judgement on a difference.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// No difference that is both significant and large enough.
    #[default]
    Same,
    /// Slower, or more errors.
    Worse,
    /// Faster, or fewer errors.
    Better,
    /// Too few points to tell any difference from chance.
    TooLittleData,
}

impl Direction {
    /// Returns the words that reports use.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Worse => "WORSE",
            Self::Better => "better",
            Self::TooLittleData => "too little data",
        }
    }
}

impl Comparison {
    /// Returns what the times in it are, which are not those of the whole runs; `None` where there are none.
    pub(crate) fn reading_note(&self) -> Option<String> {
        let point = show_seconds(self.point_seconds.filter(|_| !self.changes.is_empty())?);
        Some(format!(
            "A median p95 is the middle one of the p95 of every {point}, which is what the runs are compared by: one bad moment \
             changes the p95 of a whole run, and this one hardly. The error rates are those of the whole runs."
        ))
    }

    /// Returns an explanation of changes with too little data, if there are any.
    pub(crate) fn remark(&self) -> Option<&'static str> {
        let is_open = |change: &Change| change.direction == Direction::TooLittleData;
        self.changes.iter().any(is_open).then_some(
            "Too little data: in so few points of time even the clearest difference could be chance. Longer runs have more \
             of them, and a comparison of fewer endpoints needs fewer.",
        )
    }

    /// Returns whether anything got worse.
    pub(crate) fn has_regression(&self) -> bool {
        self.changes.iter().any(|change| change.direction == Direction::Worse)
    }
}

impl Change {
    /// Returns the measure as reports name it: a time is the median over the points, and not that of the whole run.
    pub(crate) fn name(&self) -> String {
        if self.measure == ERROR_RATE { self.measure.clone() } else { format!("median {}", self.measure) }
    }

    /// Writes a value of its measure.
    pub(crate) fn show(&self, value: f64) -> String {
        if self.measure == ERROR_RATE { format!("{:.2} %", value * 100.0) } else { show_seconds(value) }
    }
}
