//! `/performance/status`.

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::Instant;

#[cfg(feature = "deliver")]
use super::receivers::ReceiverStatus;
use super::{CoreState, sqlx::SqlxView, timestamp, units};
#[cfg(feature = "archive")]
use crate::monitor::{ArchiveState, ArchiveStatus};
use crate::monitor::{Core, Work};

/// The state of the monitor itself.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct StatusAnswer {
    /// Whether requests are measured now.
    pub(super) monitoring: bool,
    pub(super) version: &'static str,
    pub(super) started_at: String,
    pub(super) uptime_seconds: f64,
    /// Start of the totals: the start of the monitor or the last clear.
    pub(super) data_since: String,
    pub(super) requests_measured: u64,
    /// Series in use, of the service and its host.
    pub(super) series: usize,
    /// Limit of `series`.
    pub(super) max_series: usize,
    /// Label sets past the limit, folded into `other`.
    pub(super) series_dropped: u64,
    /// How often a sampler of the host panicked; the log names it. Its gauges may be out of date.
    pub(super) sampler_panics: usize,
    /// For how long a reading of the machine has not come back, where that is 2 s or more: a file system does not answer, and
    /// gauges may be out of date. Null otherwise.
    pub(super) sampling_overdue_seconds: Option<f64>,
    /// Memory of the history in bytes, an estimate: the setting `history_bytes` limits it. The windows come first; the
    /// trends take the rest, at least a quarter.
    pub(super) history_bytes: usize,
    /// The windows' part of it.
    pub(super) windows_bytes: usize,
    /// The trends' part of it.
    pub(super) trends_bytes: usize,
    /// The file that keeps the trends; null without one.
    #[cfg(feature = "archive")]
    pub(super) history_file: Option<HistoryFileStatus>,
    pub(super) evaluation_interval_seconds: f64,
    /// When the rules were last evaluated; null before the first time.
    pub(super) evaluated_at: Option<String>,
    /// How long that evaluation took.
    pub(super) evaluation_ms: Option<f64>,
    pub(super) rules: RulesStatus,
    /// Who is sent alerts, and whether they arrive; empty where nobody is.
    #[cfg(feature = "deliver")]
    pub(super) receivers: Vec<ReceiverStatus>,
    /// Whether the queries of sqlx are seen; null without the feature `sqlx`.
    pub(super) sqlx: Option<SqlxView>,
    pub(super) timestamp: String,
}

/// The history file, and whether it works.
#[cfg(feature = "archive")]
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct HistoryFileStatus {
    /// Name of the file, without the directories.
    pub(super) name: Option<String>,
    /// `opening`, `open` or `failing`. A failing file is tried again every minute; until then the trends stay in memory.
    #[cfg_attr(feature = "openapi", schema(example = "open"))]
    pub(super) state: &'static str,
    /// Why the file fails.
    pub(super) error: Option<String>,
    /// When the file was last written; null before the first time.
    pub(super) written_at: Option<String>,
    /// For how long a write of the file has not come back, where that is 2 s or more: its file system does not answer, and the
    /// trends stay in memory. Null otherwise.
    pub(super) writing_overdue_seconds: Option<f64>,
    /// New name of a broken file that was set aside since the start.
    pub(super) set_aside: Option<String>,
    /// Entries that could not be read since the start, and were dropped.
    pub(super) lost_entries: u64,
    /// What was lost to damage, in words; null where nothing was.
    #[cfg_attr(feature = "openapi", schema(example = "3 entries of the history file could not be read"))]
    pub(super) lost: Option<String>,
}

#[cfg(feature = "archive")]
impl HistoryFileStatus {
    fn of(archive: &ArchiveStatus, writing_overdue_seconds: Option<f64>) -> Self {
        let name = |path: &std::path::Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let (state, error) = match &archive.state {
            ArchiveState::Opening => ("opening", None),
            ArchiveState::Open => ("open", None),
            ArchiveState::Failing(error) => ("failing", Some(error.clone())),
        };
        Self {
            name: name(&archive.path),
            state,
            error,
            written_at: archive.written.map(timestamp::of_system_time),
            writing_overdue_seconds,
            lost: Self::lost(archive, archive.set_aside.as_deref().and_then(name)),
            set_aside: archive.set_aside.as_deref().and_then(name),
            lost_entries: archive.lost_entries,
        }
    }

    /// Returns what was lost to damage, in words.
    fn lost(archive: &ArchiveStatus, set_aside: Option<String>) -> Option<String> {
        let entries = match archive.lost_entries {
            0 => None,
            1 => Some("1 entry of the history file could not be read".to_owned()),
            entries => Some(format!("{entries} entries of the history file could not be read")),
        };
        let file = set_aside.map(|name| match archive.lost_history {
            true => format!("all trends and versions before this start, with the broken file {name}"),
            false => format!("the versions before this one, with the broken file {name}; the trends were in memory"),
        });
        let empty = archive.was_empty.then(|| match archive.lost_history {
            true => "all trends and versions that the history file had before this start: it was empty".to_owned(),
            false => "the versions before this one: the history file was empty; the trends were in memory".to_owned(),
        });
        let all: Vec<String> = file.into_iter().chain(empty).chain(entries).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// The rules in force, and the result of the last edit.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RulesStatus {
    /// How many rules are in force.
    pub(super) count: usize,
    /// `embedded` in the program, or `directory` for rules from files.
    pub(super) source: &'static str,
    pub(super) loaded_at: String,
    /// Problems of the rule files now, one each; the rules of `loaded_at` stay in force. Null without problems.
    pub(super) error: Option<Vec<String>>,
    /// For how long a reading of the files has not come back, where that is 2 s or more: their file system does not answer, and
    /// edits are not seen. The rules of `loaded_at` stay in force. Null otherwise.
    pub(super) reading_overdue_seconds: Option<f64>,
}

/// The state of the monitor itself: what it keeps, what it drops, which rules are in force.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/performance/status", tag = "control", responses((status = 200, body = StatusAnswer))))]
pub(super) async fn status(State(core): CoreState) -> Json<StatusAnswer> {
    Json(StatusAnswer::of(&core))
}

impl StatusAnswer {
    pub(super) fn of(core: &Core) -> Self {
        let now = Instant::now();
        let (data_since, requests_measured, series_dropped) = core.measured(now);
        let judgement = core.judgement();
        let overdue = |work| core.overdue(work, now).map(units::seconds);
        let rules = core.rules_state();
        let (windows_bytes, trends_bytes) = (core.windows_bytes(), core.tiers_bytes());
        Self {
            monitoring: core.instruments().enabled(),
            version: env!("CARGO_PKG_VERSION"),
            started_at: timestamp::of_instant(core.started()),
            uptime_seconds: units::seconds(now.saturating_duration_since(core.started())),
            data_since: timestamp::of_instant(data_since),
            requests_measured,
            series: core.recorder().series(),
            max_series: core.max_series(),
            series_dropped,
            sampler_panics: core.sampler_panics(),
            sampling_overdue_seconds: overdue(Work::Sampling),
            history_bytes: windows_bytes + trends_bytes,
            windows_bytes,
            trends_bytes,
            #[cfg(feature = "archive")]
            history_file: core
                .versions()
                .archive()
                .map(|archive| HistoryFileStatus::of(&archive, overdue(Work::History))),
            evaluation_interval_seconds: units::seconds(core.interval()),
            evaluated_at: judgement.at.map(timestamp::of_instant),
            evaluation_ms: judgement.took.map(|took| units::millis(took.as_secs_f64())),
            rules: RulesStatus {
                count: rules.set.ids().count(),
                source: rules.source,
                loaded_at: timestamp::of_instant(rules.loaded),
                reading_overdue_seconds: overdue(Work::Rules),
                error: rules.error.as_ref().map(|error| error.to_string().lines().map(str::to_owned).collect()),
            },
            #[cfg(feature = "deliver")]
            receivers: core.notifications().states().iter().map(ReceiverStatus::of).collect(),
            sqlx: SqlxView::of(core.requests_without_queries()),
            timestamp: timestamp::now(),
        }
    }
}
