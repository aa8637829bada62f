//! `/performance/memory`.

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{Shared, units};
use crate::{
    names::{self, Metric},
    store::Window,
};

/// Memory and limits of the process. What the platform does not tell is null.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemoryAnswer {
    /// Resident memory, in megabytes of 1,000,000 bytes.
    current_memory_mb: Option<f64>,
    avg_memory_mb: Option<f64>,
    peak_memory_mb: Option<f64>,
    virtual_memory_mb: Option<f64>,
    /// Limit of the control group; null where there is none.
    memory_limit_mb: Option<f64>,
    /// Share of that limit.
    memory_percent: Option<f64>,
    /// Robust growth, where it is established that the memory grows.
    growth_mb_per_hour: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    threads: Option<f64>,
    /// Resident memory over time, oldest first.
    samples: Vec<MemoryPoint>,
    timestamp: String,
}

/// Resident memory at a moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemoryPoint {
    timestamp: String,
    memory_mb: f64,
}

/// Points that an answer shows; enough for a plot.
const SHOWN: usize = 300;

fn gauge(window: &Window, metric: Metric) -> Option<f64> {
    window.series(metric.name).find_map(|series| series.last())
}

/// Memory, file descriptors and threads of the process.
#[utoipa::path(get, path = "/performance/memory", tag = "metrics", responses((status = 200, body = MemoryAnswer)))]
pub(super) async fn memory(State(core): Shared) -> Json<MemoryAnswer> {
    let window = core.total(Instant::now());
    let gauge = |metric| gauge(&window, metric);
    let (resident, limit) = (gauge(names::PROCESS_RESIDENT), gauge(names::PROCESS_MEMORY_LIMIT));
    let samples = core.memory_samples();
    let step = samples.len().div_ceil(SHOWN).max(1);
    // Counted from the newest, so that the present is always shown.
    let mut shown: Vec<_> = samples.iter().rev().step_by(step).collect();
    shown.reverse();
    Json(MemoryAnswer {
        current_memory_mb: resident.map(units::megabytes),
        avg_memory_mb: core.mean_memory().map(units::megabytes),
        peak_memory_mb: core.peak_memory().map(units::megabytes),
        virtual_memory_mb: gauge(names::PROCESS_VIRTUAL).map(units::megabytes),
        memory_limit_mb: limit.map(units::megabytes),
        memory_percent: resident.zip(limit).map(|(resident, limit)| units::percent(resident / limit)),
        growth_mb_per_hour: core.judgement().memory_growth.map(units::megabytes),
        open_fds: gauge(names::PROCESS_OPEN_FDS),
        max_fds: gauge(names::PROCESS_MAX_FDS),
        threads: gauge(names::PROCESS_THREADS),
        samples: shown
            .into_iter()
            .map(|sample| MemoryPoint {
                timestamp: units::at(sample.at),
                memory_mb: units::megabytes(sample.resident_bytes),
            })
            .collect(),
        timestamp: units::now(),
    })
}
