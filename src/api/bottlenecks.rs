//! `/performance/bottlenecks`: the findings of the rules, with their evidence.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    CoreState,
    acknowledge::AcknowledgementView,
    error::ApiError,
    evidence::{Detail, EvidenceView},
    parameters::Parameters,
    selection::{BottlenecksQuery, Selection},
    timestamp, units,
};
use crate::{
    monitor::Core,
    rules::{Bottleneck, CausedBy, Diagnosis, Gain, Severity, Unit},
};

/// The firing and the pending bottlenecks.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BottlenecksAnswer {
    /// Firing bottlenecks, worst first, as many as `limit` allows.
    pub(super) bottlenecks: Vec<BottleneckView>,
    /// All firing bottlenecks of the severity and type that are asked for, those past `limit` too.
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Bottlenecks that will fire if they last, worst first, as many as `limit` allows.
    pub(super) pending: Vec<BottleneckView>,
    /// All pending ones, those past `limit` too.
    pub(super) pending_count: usize,
    /// When the rules were last evaluated; null before the first time.
    pub(super) evaluated_at: Option<String>,
    pub(super) timestamp: String,
}

/// The number of firing bottlenecks, by severity.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Counts {
    pub(super) total_count: usize,
    pub(super) critical_count: usize,
    pub(super) high_count: usize,
    pub(super) medium_count: usize,
    pub(super) low_count: usize,
}

impl Counts {
    pub(super) fn of(firing: &[Arc<Bottleneck>]) -> Self {
        Self::counted(|severity| firing.iter().filter(|bottleneck| bottleneck.severity == severity).count())
    }

    /// Takes how many there are of each severity.
    pub(super) fn counted(count: impl Fn(Severity) -> usize) -> Self {
        Self {
            total_count: Severity::ALL.into_iter().map(&count).sum(),
            critical_count: count(Severity::Critical),
            high_count: count(Severity::High),
            medium_count: count(Severity::Medium),
            low_count: count(Severity::Low),
        }
    }
}

/// Observations in two versions of the service.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ComparedSamplesView {
    /// In the version before.
    pub(super) before: u64,
    /// In this version.
    pub(super) now: u64,
}

/// A bottleneck and its evidence.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BottleneckView {
    /// What to acknowledge it by: the same at any severity, and after a restart.
    #[cfg_attr(feature = "openapi", schema(example = "44bc2cf5ad770999"))]
    pub(super) id: String,
    /// Id of the rule.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(example = "slow_endpoint"))]
    pub(super) kind: String,
    /// `low`, `medium`, `high` or `critical`.
    #[cfg_attr(feature = "openapi", schema(example = "high"))]
    pub(super) severity: String,
    /// The endpoint, query, task or process that the bottleneck is about.
    pub(super) subject: String,
    /// Why; null where the measurements name no cause. docs/causes.md has every kind.
    pub(super) cause: Option<CauseView>,
    /// The finding that this one follows from: fixing that one is expected to end both.
    pub(super) caused_by: Option<CausedByView>,
    pub(super) description: String,
    pub(super) impact: String,
    /// First what follows from the cause, then what follows from the evidence, then general advice.
    pub(super) recommendations: Vec<String>,
    pub(super) affected_endpoints: Vec<String>,
    /// Plain numbers; durations in seconds, ratios from 0 to 1, sizes in bytes.
    #[serde(serialize_with = "units::numbers")]
    pub(super) metrics: BTreeMap<String, f64>,
    /// When the threshold was first passed.
    pub(super) since: String,
    /// Who knows of it, so that it is sent to nobody; null where nobody said so.
    pub(super) acknowledged: Option<AcknowledgementView>,
    /// The measured value, in `unit`.
    #[serde(serialize_with = "units::number")]
    pub(super) value: f64,
    /// The threshold that the value passed, in `unit`.
    #[serde(serialize_with = "units::number")]
    pub(super) threshold: f64,
    #[serde(serialize_with = "units::name")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub(super) unit: Unit,
    /// Length of the window, in seconds.
    pub(super) window_seconds: f64,
    /// Observations behind the value; of two versions of the service, those of the version that had fewer.
    pub(super) samples: u64,
    /// Observations in each of two versions of the service; null unless the value compares them.
    pub(super) compared_samples: Option<ComparedSamplesView>,
    /// Null where the parameter `evidence` is `none`.
    pub(super) evidence: Option<EvidenceView>,
    /// The expected gain of a fix; null where the evidence does not suffice to compute one.
    pub(super) expected_gain: Option<GainView>,
}

/// The cause of a bottleneck.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct CauseView {
    /// Its word in docs/causes.md and in conditions.
    #[cfg_attr(feature = "openapi", schema(example = "slow_plan"))]
    pub(super) kind: &'static str,
    /// What it means, as part of a sentence.
    pub(super) title: &'static str,
    /// What was measured that speaks for it.
    pub(super) because: String,
    /// `certain`, `likely` or `possible`.
    #[cfg_attr(feature = "openapi", schema(example = "likely"))]
    pub(super) confidence: &'static str,
    /// Kinds that the measurements do not exclude.
    pub(super) or: Vec<&'static str>,
    /// What those mean.
    pub(super) or_titles: Vec<&'static str>,
}

impl CauseView {
    pub(super) fn of(cause: &Diagnosis) -> Self {
        Self {
            kind: cause.kind.as_str(),
            title: cause.title(),
            because: cause.because.clone(),
            confidence: cause.confidence.as_str(),
            or: cause.or.iter().map(|kind| kind.as_str()).collect(),
            or_titles: cause.or_titles().collect(),
        }
    }
}

/// A finding that another follows from.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct CausedByView {
    /// Id of its rule.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) subject: String,
}

impl CausedByView {
    fn of(cause: &CausedBy) -> Self {
        Self { kind: cause.rule.to_string(), subject: cause.subject.to_string() }
    }
}

/// The expected gain of fixing a bottleneck.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct GainView {
    #[cfg_attr(feature = "openapi", schema(example = "takes GET /orders from 1.2s to about 200ms"))]
    pub(super) summary: String,
    /// How it was computed.
    pub(super) how: String,
    /// The endpoint that gains most.
    pub(super) endpoint: Option<String>,
    /// The value now, in `unit`.
    pub(super) from: f64,
    /// The value after the fix, about, in `unit`.
    pub(super) to: f64,
    #[serde(serialize_with = "units::name")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub(super) unit: Unit,
    /// Share of the time of all requests that the fix saves, or share of all requests that no longer fail; 0 to 1.
    /// Recommendations are ranked by it.
    pub(super) share: f64,
}

impl GainView {
    pub(super) fn of(gain: &Gain) -> Self {
        Self {
            summary: gain.summary.clone(),
            how: gain.how.clone(),
            endpoint: gain.endpoint.as_ref().map(ToString::to_string),
            from: units::round_micros(gain.from),
            to: units::round_micros(gain.to),
            unit: gain.unit,
            share: units::round_micros(gain.share),
        }
    }
}

impl BottleneckView {
    pub(super) fn of(bottleneck: &Bottleneck, core: &Core, detail: Detail) -> Self {
        let rule = &bottleneck.rule;
        Self {
            id: bottleneck.id(),
            kind: rule.id.to_string(),
            severity: bottleneck.severity.to_string(),
            subject: bottleneck.subject.name.to_string(),
            cause: bottleneck.cause.as_ref().map(CauseView::of),
            caused_by: bottleneck.caused_by.as_ref().map(CausedByView::of),
            description: bottleneck.description.clone(),
            impact: bottleneck.impact.clone(),
            recommendations: bottleneck.recommendations.clone(),
            affected_endpoints: bottleneck.affected_endpoints.iter().map(ToString::to_string).collect(),
            metrics: bottleneck
                .metrics
                .iter()
                .map(|(name, value)| ((*name).to_owned(), units::round_micros(*value)))
                .collect(),
            since: timestamp::of_instant(bottleneck.since),
            acknowledged: core.acknowledgement(bottleneck).as_deref().map(AcknowledgementView::of),
            value: units::round_micros(bottleneck.value),
            threshold: bottleneck.threshold.limit,
            unit: rule.unit,
            window_seconds: units::seconds(bottleneck.window),
            samples: bottleneck.samples,
            compared_samples: bottleneck.compared_samples().map(|(before, now)| ComparedSamplesView { before, now }),
            evidence: EvidenceView::of(bottleneck, core, detail),
            expected_gain: bottleneck.gain.as_ref().map(GainView::of),
        }
    }
}

/// The firing and the pending bottlenecks, worst first, each with its evidence.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/bottlenecks", tag = "analysis", params(BottlenecksQuery),
    responses((status = 200, body = BottlenecksAnswer), (status = 400, body = super::error::ErrorBody))
))]
pub(super) async fn bottlenecks(
    State(core): CoreState,
    Parameters(query): Parameters<BottlenecksQuery>,
) -> Result<Json<BottlenecksAnswer>, ApiError> {
    let selection = Selection::of(&query, &core.rules_state().set)?;
    let judgement = core.judgement();
    let selected = |bottlenecks: &[Arc<Bottleneck>]| -> Vec<Arc<Bottleneck>> {
        bottlenecks.iter().filter(|bottleneck| selection.has(bottleneck)).cloned().collect()
    };
    let (firing, pending) = (selected(&judgement.firing), selected(&judgement.pending));
    let views = |bottlenecks: &[Arc<Bottleneck>]| {
        let shown = bottlenecks.iter().take(selection.limit);
        shown.map(|bottleneck| BottleneckView::of(bottleneck, &core, selection.detail)).collect()
    };
    Ok(Json(BottlenecksAnswer {
        bottlenecks: views(&firing),
        counts: Counts::of(&firing),
        pending: views(&pending),
        pending_count: pending.len(),
        evaluated_at: judgement.at.map(timestamp::of_instant),
        timestamp: timestamp::now(),
    }))
}
