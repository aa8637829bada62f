//! [`Report`]: what the report says, before it is written.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

#[cfg(feature = "archive")]
use crate::api::comparison::ComparisonView;
use crate::{
    api::{
        bottlenecks::{BottleneckView, Counts, GainView},
        endpoints::{EndpointView, views},
        health::Health,
        memory::limit,
        summary::Summary,
        trends::{TrendView, TrendsAnswer},
        units,
    },
    monitor::Core,
    rules::Bottleneck,
    store::Window,
};

/// Endpoints that a report names.
const ENDPOINTS: usize = 20;
/// Points of the memory's curve; enough for a plot.
const POINTS: usize = 200;
/// How far back its trends look.
const TREND_HOURS: u32 = 24;

/// Everything worth knowing.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct Report {
    /// As `/performance/health` has it.
    #[cfg_attr(feature = "openapi", schema(example = "degraded"))]
    pub(super) status: &'static str,
    /// Why.
    pub(super) message: String,
    pub(super) summary: Summary,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// What to do: what is expected to gain most first, then what no gain can be computed for, worst first.
    pub(super) recommendations: Vec<Recommendation>,
    /// What fires, worst first.
    pub(super) bottlenecks: Vec<BottleneckView>,
    /// The endpoints that take most of the service's time.
    pub(super) endpoints: Vec<EndpointView>,
    /// How many there are in all.
    pub(super) endpoint_count: usize,
    /// Resident memory over time, oldest first.
    pub(super) memory: Vec<MemoryAt>,
    /// Limit of the control group; null where there is none.
    pub(super) memory_limit_mb: Option<f64>,
    /// What got better or worse lately; null while the service shuts down.
    pub(super) trends: Option<ReportTrends>,
    /// What got slower or faster since the version before, of the routes only those that did; `/performance/comparison`
    /// has all. Null without a history file, and where no version before is known.
    #[cfg(feature = "archive")]
    pub(super) comparison: Option<ComparisonView>,
    /// Version of the monitor.
    pub(super) version: &'static str,
    pub(super) timestamp: String,
}

/// What got better or worse; `/performance/trends` has more of it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct ReportTrends {
    /// How far back it looks.
    pub(super) hours: u32,
    /// How much of that there are data of.
    pub(super) covered_hours: f64,
    /// Length of each value of the series.
    pub(super) bucket_seconds: f64,
    /// At a constant mix of the traffic.
    pub(super) response_time: TrendView,
    pub(super) error_rate: TrendView,
    pub(super) memory: TrendView,
    pub(super) throughput: TrendView,
}

impl ReportTrends {
    async fn of(core: &Core) -> Option<Self> {
        let length = Duration::from_secs(u64::from(TREND_HOURS) * 3600);
        let report = core.trends(Instant::now(), length, |_| false).await?;
        let TrendsAnswer { covered_hours, bucket_seconds, response_time, error_rate, memory, throughput, .. } =
            TrendsAnswer::of(&report, TREND_HOURS);
        Some(Self { hours: TREND_HOURS, covered_hours, bucket_seconds, response_time, error_rate, memory, throughput })
    }

    /// Each trend with what to call it.
    #[cfg(feature = "report")]
    pub(super) fn each(&self) -> [(&'static str, &TrendView); 4] {
        [
            ("Response time", &self.response_time),
            ("Error rate", &self.error_rate),
            ("Throughput", &self.throughput),
            ("Memory", &self.memory),
        ]
    }

    /// Tells whether there is nothing to draw yet.
    #[cfg(feature = "report")]
    pub(super) fn is_short(&self) -> bool {
        [&self.response_time, &self.memory].iter().all(|trend| trend.series.iter().flatten().count() < 2)
    }
}

/// One thing to do.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct Recommendation {
    /// From 1.
    pub(super) rank: usize,
    /// What follows most directly from the evidence.
    pub(super) recommendation: String,
    /// What else can be done, general advice last.
    pub(super) more: Vec<String>,
    pub(super) severity: String,
    /// What it is about.
    pub(super) subject: String,
    /// Types of the bottlenecks that it takes away; more than one where they have the same cause.
    pub(super) types: Vec<String>,
    /// Null where the evidence carries no computation.
    pub(super) expected_gain: Option<GainView>,
}

/// Resident memory at a moment.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct MemoryAt {
    pub(super) seconds_ago: f64,
    pub(super) memory_mb: f64,
}

impl Report {
    /// Gathers what is known of a part of the past, and what fires now.
    pub(super) async fn of(window: &Window, core: &Core) -> Self {
        let judgement = core.judgement();
        let counts = Counts::of(&judgement.firing);
        let summary = Summary::of(window, core.mean_memory_of(window));
        let (status, message) = Health::of(core, &judgement, Instant::now()).verdict();
        let endpoints = views(window);
        Self {
            status,
            message,
            summary,
            counts,
            recommendations: recommendations(&judgement.firing),
            bottlenecks: judgement.firing.iter().map(|bottleneck| BottleneckView::of(bottleneck, core)).collect(),
            endpoint_count: endpoints.len(),
            endpoints: endpoints.into_iter().take(ENDPOINTS).collect(),
            memory: memory(core, Instant::now()),
            memory_limit_mb: limit(window).map(units::megabytes),
            trends: ReportTrends::of(core).await,
            #[cfg(feature = "archive")]
            comparison: core.comparison(Instant::now()).map(|compared| ComparisonView::of(&compared).changes_only()),
            version: env!("CARGO_PKG_VERSION"),
            timestamp: units::now(),
        }
    }
}

/// One for each cause, ranked by what fixing it is expected to gain. `firing` is ranked by severity.
fn recommendations(firing: &[Arc<Bottleneck>]) -> Vec<Recommendation> {
    let mut causes: HashMap<_, usize> = HashMap::new();
    let mut all: Vec<(f64, Recommendation)> = Vec::new();
    for bottleneck in firing {
        let mut advice = bottleneck.recommendations.iter().cloned();
        let Some(first) = advice.next() else { continue };
        let kind = bottleneck.rule.id.to_string();
        if let Some(gain) = &bottleneck.gain {
            // The most severe of several with one cause came first: it speaks for all, with the largest gain of them.
            if let Some((share, known)) = causes.get(&gain.cause).and_then(|at| all.get_mut(*at)) {
                if !known.types.contains(&kind) {
                    known.types.push(kind);
                }
                if gain.share > *share {
                    (*share, known.expected_gain) = (gain.share, Some(GainView::of(gain)));
                }
                continue;
            }
            causes.insert(gain.cause.clone(), all.len());
        }
        let recommendation = Recommendation {
            rank: 0,
            recommendation: first,
            more: advice.collect(),
            severity: bottleneck.severity.to_string(),
            subject: bottleneck.subject.name.to_string(),
            types: vec![kind],
            expected_gain: bottleneck.gain.as_ref().map(GainView::of),
        };
        all.push((bottleneck.gain.as_ref().map_or(0.0, |gain| gain.share), recommendation));
    }
    // Stable: what gains the same stays in the order of severity.
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    all.into_iter().zip(1..).map(|((_, recommendation), rank)| Recommendation { rank, ..recommendation }).collect()
}

/// Counted from the newest sample, so that the present is always shown.
fn memory(core: &Core, now: Instant) -> Vec<MemoryAt> {
    let samples = core.memory_samples();
    let age = now.saturating_duration_since(core.started()).as_secs_f64();
    let step = samples.len().div_ceil(POINTS).max(1);
    let mut points: Vec<_> = samples
        .iter()
        .rev()
        .step_by(step)
        .map(|sample| MemoryAt {
            seconds_ago: units::micros((age - sample.age_seconds).max(0.0)),
            memory_mb: units::megabytes(sample.resident_bytes),
        })
        .collect();
    points.reverse();
    points
}
