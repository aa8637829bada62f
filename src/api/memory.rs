//! `/performance/memory`: memory, file descriptors and threads of the process.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::Instant;

use super::{CoreState, timestamp, units};
use crate::{
    analysis::{Leak, LeakVerdict},
    names::{self, Metric},
    rules::{MemoryGrowth, MemoryVerdict, Unit},
    store::Window,
};

/// Memory and limits of the process. A value that the platform does not report is null.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct MemoryAnswer {
    /// Memory that the process owns, in megabytes of 1,000,000 bytes: resident, without pages of files that it has mapped where the
    /// platform tells them apart.
    current_memory_mb: Option<f64>,
    avg_memory_mb: Option<f64>,
    peak_memory_mb: Option<f64>,
    /// With pages of mapped files.
    resident_memory_mb: Option<f64>,
    virtual_memory_mb: Option<f64>,
    /// Limit of the control group; null without one.
    memory_limit_mb: Option<f64>,
    /// Share of that limit that the group holds, without pages of files.
    memory_percent: Option<f64>,
    /// Robust growth, of the process or of the route that leaks; null unless growth is established. The measure `memory_growth` of
    /// the rules.
    growth_mb_per_hour: Option<f64>,
    /// Whether the memory has grown like a leak since the process started; null before the first evaluation.
    leak: Option<LeakView>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
    threads: Option<u64>,
    /// Memory that it owned over time, oldest first.
    samples: Vec<MemoryPoint>,
    timestamp: String,
}

/// Whether the memory grows like a leak. Growth alone cannot prove one.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct LeakView {
    /// `not_enough_data`, `steady`, `growing` (too early to say), `follows_traffic` or `consistent_with_a_leak`.
    #[cfg_attr(feature = "openapi", schema(example = "consistent_with_a_leak"))]
    status: &'static str,
    /// The same in words.
    message: String,
    /// The endpoint whose own live bytes show the leak, while the memory of the process does not; null otherwise.
    endpoint: Option<String>,
    /// Robust slope (Theil–Sen) over the longest window that shows growth, of an endpoint its mean slope; without growth this and
    /// the fields below are null.
    slope_mb_per_hour: Option<f64>,
    /// 95 % interval of the slope, for memory that wanders like a random walk beside its growth; null for an endpoint, whose live
    /// bytes have no such noise.
    slope_low_mb_per_hour: Option<f64>,
    slope_high_mb_per_hour: Option<f64>,
    /// 1 less the p-value: the share of random walks without growth that climb less steadily within one such window. It is
    /// not the probability of a leak; the README gives the rate of false alarms on harmless curves. Null for an endpoint.
    confidence: Option<f64>,
    /// Growth over that window.
    growth_mb: Option<f64>,
    /// All windows that show the growth, shortest first.
    windows_seconds: Vec<f64>,
    /// Time after the start that was left out as the warm-up.
    warm_up_seconds: Option<f64>,
    /// Share of the memory limit in use; null without a limit.
    limit_percent: Option<f64>,
    /// Time until the limit is reached at this slope; null without a limit.
    seconds_to_limit: Option<f64>,
    /// Time observed since the warm-up; null once that is enough.
    observed_seconds: Option<f64>,
    /// Time that a verdict needs; null once that was observed.
    needed_seconds: Option<f64>,
}

impl LeakView {
    /// Returns what the rules judge by, in words and numbers.
    fn of(verdict: &MemoryVerdict, limit: Option<Limit>) -> Self {
        match (&verdict.process, &verdict.growth) {
            (LeakVerdict::Consistent(_), _) | (_, None) => Self::of_process(&verdict.process, limit),
            (_, Some(growth)) => Self::of_route(growth, limit),
        }
    }

    fn of_route(growth: &MemoryGrowth, limit: Option<Limit>) -> Self {
        let left = limit.map(|limit| limit.time_left(growth.bytes_per_hour));
        let endpoint = growth.route.as_deref().unwrap_or("a route");
        let mut message = format!(
            "consistent with a leak: requests of {endpoint} keep {}, {} over the last {}",
            Unit::BytesPerHour.render(growth.bytes_per_hour),
            Unit::Bytes.render(growth.bytes),
            Unit::Seconds.render(growth.span.as_secs_f64()),
        );
        if let Some((limit, left)) = limit.zip(left) {
            let left = Unit::Seconds.render(left.as_secs_f64());
            message += &format!(
                "; {:.0} % of the memory limit is used, at this pace it is reached in {left}",
                limit.percent()
            );
        }
        Self {
            status: "consistent_with_a_leak",
            message,
            endpoint: growth.route.as_deref().map(str::to_owned),
            slope_mb_per_hour: Some(units::megabytes(growth.bytes_per_hour)),
            growth_mb: Some(units::megabytes(growth.bytes)),
            windows_seconds: vec![units::seconds(growth.span)],
            limit_percent: limit.map(Limit::percent),
            seconds_to_limit: left.map(units::seconds),
            ..Self::default()
        }
    }

    fn of_process(verdict: &LeakVerdict, limit: Option<Limit>) -> Self {
        let message = verdict.to_string();
        match verdict {
            LeakVerdict::NotEnoughData { observed, needed } => Self {
                status: "not_enough_data",
                message,
                observed_seconds: Some(units::seconds(*observed)),
                needed_seconds: Some(units::seconds(*needed)),
                ..Self::default()
            },
            LeakVerdict::Steady => Self { status: "steady", message, ..Self::default() },
            LeakVerdict::Rising => Self { status: "growing", message, ..Self::default() },
            LeakVerdict::FollowsTraffic => Self { status: "follows_traffic", message, ..Self::default() },
            LeakVerdict::Consistent(leak) => Self {
                status: "consistent_with_a_leak",
                message: LeakVerdict::Consistent(Leak {
                    limit_ratio: limit.map(|limit| limit.used / limit.bytes),
                    time_to_limit: limit.map(|limit| limit.time_left(leak.bytes_per_hour)),
                    ..leak.clone()
                })
                .to_string(),
                slope_mb_per_hour: Some(units::megabytes(leak.bytes_per_hour)),
                slope_low_mb_per_hour: Some(units::megabytes(leak.interval.0)),
                slope_high_mb_per_hour: Some(units::megabytes(leak.interval.1)),
                confidence: Some(units::round_micros(leak.confidence)),
                growth_mb: Some(units::megabytes(leak.growth_bytes)),
                windows_seconds: leak.windows.iter().map(|window| units::seconds(*window)).collect(),
                warm_up_seconds: Some(units::seconds(leak.warm_up)),
                limit_percent: limit.map(Limit::percent),
                seconds_to_limit: limit.map(|limit| units::seconds(limit.time_left(leak.bytes_per_hour))),
                ..Self::default()
            },
        }
    }
}

/// The memory limit, and how much is used of it: by all of the control group, as the rules have it.
#[derive(Clone, Copy, Debug)]
struct Limit {
    bytes: f64,
    used: f64,
}

impl Limit {
    fn percent(self) -> f64 {
        units::percent(self.used / self.bytes)
    }

    /// Returns how long it takes to reach the limit, 136 years at most.
    fn time_left(self, bytes_per_hour: f64) -> Duration {
        let seconds = (self.bytes - self.used).max(0.0) / bytes_per_hour * 3600.0;
        Duration::from_secs_f64(seconds.clamp(0.0, f64::from(u32::MAX)))
    }
}

/// Resident memory at a moment.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct MemoryPoint {
    timestamp: String,
    memory_mb: f64,
}

/// Points of an answer: enough for a plot.
const SHOWN: usize = 300;

fn gauge(window: &Window, metric: Metric) -> Option<f64> {
    window.series(metric.name).find_map(|series| series.last())
}

/// Returns the limit in force. The gauge is infinite once a limit was removed, which is no limit.
pub(super) fn limit(window: &Window) -> Option<f64> {
    gauge(window, names::PROCESS_MEMORY_LIMIT).filter(|bytes| bytes.is_finite())
}

/// Memory, file descriptors and threads of the process.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/performance/memory", tag = "metrics", responses((status = 200, body = MemoryAnswer))))]
pub(super) async fn memory(State(core): CoreState) -> Json<MemoryAnswer> {
    let window = core.total(Instant::now());
    let gauge = |metric| gauge(&window, metric);
    let (resident, max) = (gauge(names::PROCESS_RESIDENT), limit(&window));
    let owned = gauge(names::PROCESS_OWNED).or(resident);
    let towards_limit = gauge(names::MEMORY_WORKING_SET).or(owned);
    let samples = core.memory_samples();
    let limit = towards_limit.zip(max).map(|(used, bytes)| Limit { bytes, used });
    let verdict = core.judgement().memory.clone();
    let growth = verdict.as_ref().and_then(|verdict| verdict.growth.as_ref());
    let step = samples.len().div_ceil(SHOWN).max(1);
    // Counted from the newest sample, so that the answer always has the present.
    let mut shown: Vec<_> = samples.iter().rev().step_by(step).collect();
    shown.reverse();
    Json(MemoryAnswer {
        current_memory_mb: owned.map(units::megabytes),
        avg_memory_mb: core.mean_memory().map(units::megabytes),
        peak_memory_mb: core.peak_memory().map(units::megabytes),
        resident_memory_mb: resident.map(units::megabytes),
        virtual_memory_mb: gauge(names::PROCESS_VIRTUAL).map(units::megabytes),
        memory_limit_mb: max.map(units::megabytes),
        memory_percent: limit.map(Limit::percent),
        growth_mb_per_hour: growth.map(|growth| units::megabytes(growth.bytes_per_hour)),
        leak: verdict.as_ref().map(|verdict| LeakView::of(verdict, limit)),
        open_fds: gauge(names::PROCESS_OPEN_FDS).map(units::count),
        max_fds: gauge(names::PROCESS_MAX_FDS).map(units::count),
        threads: gauge(names::PROCESS_THREADS).map(units::count),
        samples: shown
            .into_iter()
            .map(|sample| MemoryPoint {
                timestamp: timestamp::of_instant(core.started() + Duration::from_secs_f64(sample.age_seconds)),
                memory_mb: units::megabytes(sample.resident_bytes),
            })
            .collect(),
        timestamp: timestamp::now(),
    })
}
