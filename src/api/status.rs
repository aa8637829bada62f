//! `/performance/status`.

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::Instant;

use super::{Shared, units};
#[cfg(feature = "archive")]
use crate::monitor::{ArchiveState, ArchiveStatus};
use crate::{names, rules::Totals};

/// The monitor on itself.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct StatusAnswer {
    /// Whether requests are measured now.
    monitoring: bool,
    version: &'static str,
    started_at: String,
    uptime_seconds: f64,
    /// Since when the totals count: the start or the last clear.
    data_since: String,
    requests_measured: u64,
    /// Series kept now of the service and its host, and how many there may be.
    series: usize,
    max_series: usize,
    /// Label sets refused and folded into `other`.
    series_dropped: u64,
    /// How often a sampler of the host's panicked; the log says which. What it writes may be out of date.
    sampler_panics: usize,
    /// Memory of the history, in bytes, nearly: what the setting of that name limits. The windows come first; the trends
    /// take what they leave, and a quarter at least.
    history_bytes: usize,
    /// Of it, that of the windows,
    windows_bytes: usize,
    /// and that of the trends.
    trends_bytes: usize,
    /// The file that the trends are kept in; null where they are kept in memory only.
    #[cfg(feature = "archive")]
    history_file: Option<HistoryFileStatus>,
    evaluation_interval_seconds: f64,
    /// When the rules were last evaluated; null before the first time.
    evaluated_at: Option<String>,
    /// How long that took.
    evaluation_ms: Option<f64>,
    rules: RulesStatus,
    timestamp: String,
}

/// The history file, and whether it can be used.
#[cfg(feature = "archive")]
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct HistoryFileStatus {
    /// Its name, without the directories.
    name: Option<String>,
    /// `opening`, `open`, or `failing`: then trends are kept in memory, and the file is tried again every minute.
    #[cfg_attr(feature = "openapi", schema(example = "open"))]
    state: &'static str,
    /// Why it fails.
    error: Option<String>,
    /// When it was last written; null before the first time.
    written_at: Option<String>,
    /// The name that a broken file was given since the start.
    set_aside: Option<String>,
}

#[cfg(feature = "archive")]
impl HistoryFileStatus {
    fn of(archive: &ArchiveStatus) -> Self {
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
            written_at: archive.written.map(units::wall),
            set_aside: archive.set_aside.as_deref().and_then(name),
        }
    }
}

/// The rules in force, and what became of the last edit.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RulesStatus {
    /// How many rules are in force.
    count: usize,
    /// `embedded`, or `directory` where they are read from files.
    source: &'static str,
    loaded_at: String,
    /// What is wrong with the files now, one problem a line; the rules of `loaded_at` stay in force. Null when the
    /// files are good.
    error: Option<Vec<String>>,
}

/// The monitor on itself: what it keeps, what it drops, which rules are in force.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/performance/status", tag = "control", responses((status = 200, body = StatusAnswer))))]
pub(super) async fn status(State(core): Shared) -> Json<StatusAnswer> {
    let now = Instant::now();
    let total = core.total(now);
    let judgement = core.judgement();
    let dropped = total.series(names::SERIES_DROPPED.name).map(|series| series.increase() as u64).sum();
    let rules = core.rules_state();
    let (windows_bytes, trends_bytes) = (core.windows_bytes(), core.tiers_bytes());
    Json(StatusAnswer {
        monitoring: core.instruments().enabled(),
        version: env!("CARGO_PKG_VERSION"),
        started_at: units::at(core.started()),
        uptime_seconds: units::seconds(now.saturating_duration_since(core.started())),
        data_since: units::at(total.start()),
        requests_measured: Totals::of(&total, names::HTTP_DURATION.name).count(),
        series: core.recorder().series(),
        max_series: core.max_series(),
        series_dropped: dropped,
        sampler_panics: core.sampler_panics(),
        history_bytes: windows_bytes + trends_bytes,
        windows_bytes,
        trends_bytes,
        #[cfg(feature = "archive")]
        history_file: core.versions().archive().map(|archive| HistoryFileStatus::of(&archive)),
        evaluation_interval_seconds: units::seconds(core.interval()),
        evaluated_at: judgement.at.map(units::at),
        evaluation_ms: judgement.took.map(|took| units::millis(took.as_secs_f64())),
        rules: RulesStatus {
            count: rules.set.ids().count(),
            source: rules.source,
            loaded_at: units::at(rules.loaded),
            error: rules.error.as_ref().map(|error| error.to_string().lines().map(str::to_owned).collect()),
        },
        timestamp: units::now(),
    })
}
