//! `/performance/bottlenecks`: what slows the service down or breaks it, and why.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Shared, units};
use crate::{
    context::{EventKind, SlowRequest},
    monitor::Core,
    names,
    rules::{Bottleneck, EndpointShare, Evidence, Fact, OutcomeShare, QueryShare, Scope, Severity},
};

/// What fires now, worst first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BottlenecksAnswer {
    bottlenecks: Vec<BottleneckView>,
    #[serde(flatten)]
    counts: Counts,
    /// What will fire if it lasts, worst first.
    pending: Vec<BottleneckView>,
    /// When the rules were last evaluated; null before the first time.
    evaluated_at: Option<String>,
    timestamp: String,
}

/// How many bottlenecks fire, by severity.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counts {
    pub(super) total_count: usize,
    pub(super) critical_count: usize,
    pub(super) high_count: usize,
    pub(super) medium_count: usize,
    pub(super) low_count: usize,
}

impl Counts {
    pub(super) fn of(firing: &[Arc<Bottleneck>]) -> Self {
        let count = |severity| firing.iter().filter(|bottleneck| bottleneck.severity == severity).count();
        Self {
            total_count: firing.len(),
            critical_count: count(Severity::Critical),
            high_count: count(Severity::High),
            medium_count: count(Severity::Medium),
            low_count: count(Severity::Low),
        }
    }
}

/// A bottleneck and its evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BottleneckView {
    /// Id of the rule that found it.
    #[serde(rename = "type")]
    #[schema(example = "slow_endpoint")]
    kind: String,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "high")]
    severity: String,
    /// What it is about: an endpoint, a query, a task or the process.
    subject: String,
    description: String,
    impact: String,
    /// What follows from the evidence first, general advice after.
    recommendations: Vec<String>,
    affected_endpoints: Vec<String>,
    /// Plain numbers; durations in seconds, ratios from 0 to 1, sizes in bytes.
    metrics: BTreeMap<String, f64>,
    /// Since when its threshold is passed.
    since: String,
    /// What was measured, in `unit`.
    value: f64,
    /// What it was measured against, in `unit`.
    threshold: f64,
    unit: String,
    /// Length of the window, in seconds.
    window_seconds: f64,
    /// Observations that the value rests on.
    samples: u64,
    evidence: EvidenceView,
}

/// What a good colleague would have looked up.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct EvidenceView {
    /// Share of the time of all requests of the service, 0 to 1.
    time_share: Option<f64>,
    /// Named numbers in base units: seconds, bytes, ratios.
    numbers: BTreeMap<String, f64>,
    /// Named words, such as the most expensive query.
    words: BTreeMap<String, String>,
    /// An endpoint's queries, the most expensive first.
    top_queries: Vec<QueryView>,
    /// The endpoints behind a query, or those that block the runtime.
    endpoints: Vec<EndpointShareView>,
    /// How its requests or runs ended, the most frequent first.
    outcomes: Vec<OutcomeView>,
    /// An endpoint's slowest requests of the last minutes, kept whole.
    slowest_requests: Vec<SlowRequestView>,
}

/// A query that an endpoint issues.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QueryView {
    /// The statement without its literals.
    query: String,
    calls: u64,
    calls_per_request: Option<f64>,
    total_seconds: f64,
    /// Share of the endpoint's time.
    time_ratio: Option<f64>,
}

/// An endpoint behind a finding.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndpointShareView {
    endpoint: String,
    calls: u64,
    calls_per_request: Option<f64>,
    total_seconds: f64,
    time_ratio: Option<f64>,
}

/// One way that requests or runs ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OutcomeView {
    /// A status, a kind of error, or the outcome of a task.
    outcome: String,
    count: u64,
    ratio: f64,
}

/// A request that was among the slowest.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SlowRequestView {
    timestamp: String,
    duration_ms: f64,
    /// Time inside poll.
    busy_ms: f64,
    longest_poll_ms: f64,
    /// Null where no response was made.
    status: Option<u16>,
    error_type: Option<String>,
    /// Of the request's W3C `traceparent`.
    trace_id: Option<String>,
    /// Its queries and tasks in the order of their start.
    timeline: Vec<TimelineView>,
    /// Queries and tasks that the timeline has no room for.
    timeline_beyond: u32,
}

/// A query or task of a slow request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TimelineView {
    /// `query` or `task`.
    kind: String,
    name: String,
    /// From the start of the request.
    start_ms: f64,
    duration_ms: f64,
}

impl SlowRequestView {
    pub(super) fn of(request: &SlowRequest) -> Self {
        let millis = |duration: std::time::Duration| units::millis(duration.as_secs_f64());
        let timeline = request.timeline.iter().map(|event| TimelineView {
            kind: match event.kind {
                EventKind::Query => "query".into(),
                EventKind::Task => "task".into(),
            },
            name: event.name.to_string(),
            start_ms: millis(event.start),
            duration_ms: millis(event.duration),
        });
        Self {
            timestamp: units::wall(request.at),
            duration_ms: millis(request.duration),
            busy_ms: millis(request.busy),
            longest_poll_ms: millis(request.longest_poll),
            status: request.status,
            error_type: request.error.map(str::to_owned),
            trace_id: request.trace_id.map(|id| id.to_string()),
            timeline: timeline.collect(),
            timeline_beyond: request.beyond,
        }
    }
}

impl BottleneckView {
    pub(super) fn of(bottleneck: &Bottleneck, core: &Core) -> Self {
        let rule = &bottleneck.rule;
        let slowest = match rule.scope {
            Scope::Endpoint => {
                let label = |name| bottleneck.subject.label(name).unwrap_or_default();
                core.instruments().slow_requests().of(label(names::METHOD), label(names::ROUTE))
            }
            Scope::Query | Scope::Task | Scope::Process | Scope::Metric => Vec::new(),
        };
        Self {
            kind: rule.id.to_string(),
            severity: bottleneck.severity.to_string(),
            subject: bottleneck.subject.name.to_string(),
            description: bottleneck.description.clone(),
            impact: bottleneck.impact.clone(),
            recommendations: bottleneck.recommendations.clone(),
            affected_endpoints: bottleneck.affected_endpoints.iter().map(ToString::to_string).collect(),
            metrics: bottleneck
                .metrics
                .iter()
                .map(|(name, value)| ((*name).to_owned(), units::micros(*value)))
                .collect(),
            since: units::at(bottleneck.since),
            value: units::micros(bottleneck.value),
            threshold: bottleneck.threshold.limit,
            unit: rule.unit.as_str().to_owned(),
            window_seconds: units::seconds(rule.window),
            samples: bottleneck.samples,
            evidence: EvidenceView::of(&bottleneck.evidence, &slowest),
        }
    }
}

impl EvidenceView {
    fn of(evidence: &Evidence, slowest: &[SlowRequest]) -> Self {
        let mut view = Self {
            time_share: evidence.time_share.map(units::micros),
            top_queries: evidence.queries.iter().map(QueryView::of).collect(),
            endpoints: evidence.endpoints.iter().map(EndpointShareView::of).collect(),
            outcomes: evidence.outcomes.iter().map(OutcomeView::of).collect(),
            slowest_requests: slowest.iter().map(SlowRequestView::of).collect(),
            ..Self::default()
        };
        for (name, fact) in &evidence.facts {
            match fact {
                Fact::Number(value, _) => drop(view.numbers.insert((*name).to_owned(), units::micros(*value))),
                Fact::Word(word) => drop(view.words.insert((*name).to_owned(), word.to_string())),
            }
        }
        view
    }
}

impl QueryView {
    fn of(share: &QueryShare) -> Self {
        Self {
            query: share.query.to_string(),
            calls: share.calls,
            calls_per_request: share.calls_per_request.map(units::rounded),
            total_seconds: units::micros(share.seconds),
            time_ratio: share.time_ratio.map(units::micros),
        }
    }
}

impl EndpointShareView {
    fn of(share: &EndpointShare) -> Self {
        Self {
            endpoint: share.endpoint.to_string(),
            calls: share.calls,
            calls_per_request: share.calls_per_request.map(units::rounded),
            total_seconds: units::micros(share.seconds),
            time_ratio: share.time_ratio.map(units::micros),
        }
    }
}

impl OutcomeView {
    fn of(share: &OutcomeShare) -> Self {
        Self { outcome: share.outcome.to_string(), count: share.count, ratio: units::micros(share.ratio) }
    }
}

/// What slows the service down or breaks it now, worst first, each with its evidence.
#[utoipa::path(
    get, path = "/performance/bottlenecks", tag = "analysis", responses((status = 200, body = BottlenecksAnswer))
)]
pub(super) async fn bottlenecks(State(core): Shared) -> Json<BottlenecksAnswer> {
    let judgement = core.judgement();
    let views = |bottlenecks: &[Arc<Bottleneck>]| {
        bottlenecks.iter().map(|bottleneck| BottleneckView::of(bottleneck, &core)).collect()
    };
    Json(BottlenecksAnswer {
        bottlenecks: views(&judgement.firing),
        counts: Counts::of(&judgement.firing),
        pending: views(&judgement.pending),
        evaluated_at: judgement.at.map(units::at),
        timestamp: units::now(),
    })
}
