//! [`Report`]: the content of the report, before it is written in one of its formats.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

#[cfg(feature = "archive")]
use crate::api::comparison::ComparisonView;
use crate::{
    api::{
        bottlenecks::{BottleneckView, CauseView, Counts, GainView},
        endpoints::{EndpointView, views},
        evidence::Detail,
        health::Health,
        memory::limit,
        rules::SilentRule,
        slos::SloView,
        sqlx::SqlxView,
        summary::Summary,
        timestamp,
        trend::TrendView,
        trends::TrendsAnswer,
        units,
    },
    monitor::Core,
    rules::{Bottleneck, CausedBy, Severity},
    store::Window,
};

/// Endpoints of a report.
const ENDPOINTS: usize = 20;
/// Error budgets of a report.
const BUDGETS: usize = 20;
/// Points of the memory curve: enough for a plot.
const POINTS: usize = 200;
/// How far back the trends look.
const TREND_HOURS: u32 = 24;

/// The findings and numbers that matter, in one answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct Report {
    /// The health of the service, as in `/performance/health`.
    #[cfg_attr(feature = "openapi", schema(example = "degraded"))]
    pub(super) status: &'static str,
    /// Reason of the status.
    pub(super) message: String,
    pub(super) summary: Summary,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Recommendations by expected gain, the largest first; those without a computed gain follow, worst first.
    pub(super) recommendations: Vec<Recommendation>,
    /// Firing bottlenecks, worst first.
    pub(super) bottlenecks: Vec<BottleneckView>,
    /// The error budgets of the service-level objectives, the 20 with the least left first; `/performance/slos` has all.
    pub(super) slos: Vec<SloView>,
    /// Number of all error budgets.
    pub(super) slo_count: usize,
    /// Endpoints with the largest share of the time of all requests.
    pub(super) endpoints: Vec<EndpointView>,
    /// Number of all endpoints.
    pub(super) endpoint_count: usize,
    /// Resident memory over time, oldest first.
    pub(super) memory: Vec<MemoryAt>,
    /// Limit of the control group; null without one.
    pub(super) memory_limit_mb: Option<f64>,
    /// Trends of the last 24 hours; null while the service shuts down.
    pub(super) trends: Option<ReportTrends>,
    /// Comparison with the version before, with the routes that changed only; `/performance/comparison` has all. Null without
    /// a history file or an earlier version.
    #[cfg(feature = "archive")]
    pub(super) comparison: Option<ComparisonView>,
    /// How many rules are in force.
    pub(super) rule_count: usize,
    /// Those of them that cannot find anything now, or miss what they are for.
    pub(super) silent_rules: Vec<SilentRule>,
    /// Whether the queries of sqlx are seen; null without the feature `sqlx`.
    pub(super) sqlx: Option<SqlxView>,
    /// Version of the monitor.
    pub(super) version: &'static str,
    pub(super) timestamp: String,
}

/// The trends of the whole service; `/performance/trends` has more.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct ReportTrends {
    /// How far back it looks.
    pub(super) hours: u32,
    /// How much of that has data.
    pub(super) covered_hours: f64,
    /// Length of the time bucket of each value.
    pub(super) bucket_seconds: f64,
    /// Mean response time at a constant mix of the traffic.
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

    /// Returns each trend with its name.
    #[cfg(feature = "report")]
    pub(super) fn each(&self) -> [(&'static str, &TrendView); 4] {
        [
            ("Response time", &self.response_time),
            ("Error rate", &self.error_rate),
            ("Throughput", &self.throughput),
            ("Memory", &self.memory),
        ]
    }

    /// Returns whether there are too few values to draw.
    #[cfg(feature = "report")]
    pub(super) fn is_short(&self) -> bool {
        [&self.response_time, &self.memory].iter().all(|trend| trend.series.iter().flatten().count() < 2)
    }
}

/// One recommendation.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct Recommendation {
    /// From 1.
    pub(super) rank: usize,
    /// Why; null where the measurements name no cause.
    pub(super) cause: Option<CauseView>,
    /// Number of other bottlenecks that follow from this one: they are expected to end with it.
    pub(super) followed_by: usize,
    /// The advice that follows most directly from the evidence.
    pub(super) recommendation: String,
    /// Further advice, general advice last.
    pub(super) more: Vec<String>,
    /// The highest of the bottlenecks that it resolves.
    pub(super) severity: String,
    /// The subject of the bottleneck.
    pub(super) subject: String,
    /// Types of the bottlenecks that it resolves; several if they have the same cause.
    pub(super) types: Vec<String>,
    /// Null where the evidence does not suffice to compute one.
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
    /// Gathers the numbers of a window and the present findings.
    pub(super) async fn of(window: &Window, core: &Core) -> Self {
        let judgement = core.judgement();
        let counts = Counts::of(&judgement.firing);
        let summary = Summary::of(window, core.mean_memory_of(window));
        let (status, message) = Health::of(core, &judgement, Instant::now()).verdict();
        let endpoints = views(window);
        let mut slos = SloView::all(&judgement);
        let slo_count = slos.len();
        slos.truncate(BUDGETS);
        let (silent_rules, rule_count) = SilentRule::all(core);
        Self {
            rule_count,
            silent_rules,
            slos,
            slo_count,
            status,
            message,
            summary,
            counts,
            recommendations: recommendations(&judgement.firing),
            bottlenecks: judgement
                .firing
                .iter()
                .map(|bottleneck| BottleneckView::of(bottleneck, core, Detail::Full))
                .collect(),
            endpoint_count: endpoints.len(),
            endpoints: endpoints.into_iter().take(ENDPOINTS).collect(),
            memory: memory(core, Instant::now()),
            memory_limit_mb: limit(window).map(units::megabytes),
            trends: ReportTrends::of(core).await,
            #[cfg(feature = "archive")]
            comparison: core.comparison(Instant::now()).map(|compared| ComparisonView::of(&compared).changes_only()),
            sqlx: SqlxView::of(core.requests_without_queries()),
            version: env!("CARGO_PKG_VERSION"),
            timestamp: timestamp::now(),
        }
    }
}

/// Returns one recommendation for each cause, ranked by expected gain; what follows from another bottleneck is only counted.
/// `firing` is ranked by severity.
fn recommendations(firing: &[Arc<Bottleneck>]) -> Vec<Recommendation> {
    let mut causes: HashMap<_, usize> = HashMap::new();
    let is = |bottleneck: &Bottleneck, cause: &CausedBy| {
        bottleneck.rule.id == cause.rule && bottleneck.subject.name == cause.subject
    };
    let follows = |bottleneck: &Bottleneck| {
        bottleneck.caused_by.as_ref().is_some_and(|cause| firing.iter().any(|other| is(other, cause)))
    };
    let mut all: Vec<(f64, Recommendation)> = Vec::new();
    for bottleneck in firing.iter().filter(|bottleneck| !follows(bottleneck)) {
        let mut advice = bottleneck.recommendations.iter().cloned();
        let Some(first) = advice.next() else { continue };
        let kind = bottleneck.rule.id.to_string();
        if let Some(gain) = &bottleneck.gain {
            // Of several bottlenecks with one cause, the most severe came first: its advice stands for all, with the
            // largest gain of them.
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
        let followers: Vec<_> =
            firing.iter().filter(|other| other.caused_by.as_ref().is_some_and(|cause| is(bottleneck, cause))).collect();
        let mut types = vec![kind];
        for follower in &followers {
            if !types.iter().any(|known| **known == *follower.rule.id) {
                types.push(follower.rule.id.to_string());
            }
        }
        let recommendation = Recommendation {
            rank: 0,
            cause: bottleneck.cause.as_ref().map(CauseView::of),
            followed_by: followers.len(),
            recommendation: first,
            more: advice.collect(),
            severity: followers.iter().map(|one| one.severity).fold(bottleneck.severity, Severity::max).to_string(),
            subject: bottleneck.subject.name.to_string(),
            types,
            expected_gain: bottleneck.gain.as_ref().map(GainView::of),
        };
        all.push((bottleneck.gain.as_ref().map_or(0.0, |gain| gain.share), recommendation));
    }
    // The sort is stable: equal gains stay in the order of severity.
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    all.into_iter().zip(1..).map(|((_, recommendation), rank)| Recommendation { rank, ..recommendation }).collect()
}

/// Returns the memory curve, thinned. It counts from the newest sample, so that the present is always part of it.
fn memory(core: &Core, now: Instant) -> Vec<MemoryAt> {
    let samples = core.memory_samples();
    let age = now.saturating_duration_since(core.started()).as_secs_f64();
    let step = samples.len().div_ceil(POINTS).max(1);
    let mut points: Vec<_> = samples
        .iter()
        .rev()
        .step_by(step)
        .map(|sample| MemoryAt {
            seconds_ago: units::round_micros((age - sample.age_seconds).max(0.0)),
            memory_mb: units::megabytes(sample.resident_bytes),
        })
        .collect();
    points.reverse();
    points
}
