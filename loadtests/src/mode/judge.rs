//! What a run must meet: thresholds, the service's rules, and what holds for every test.

use super::{error::ToolError, session::Session};
use crate::{
    cli::{OnSaturation, VerdictOptions},
    engine::{LoadPlan, StopReason},
    plan::check_thresholds,
    result::OutageResult,
    span::show_seconds,
    verdict::{Check, CheckSource, CheckStatus, Conclusion, Measurement, Rules, Threshold, implicit, judge_thresholds},
    watch::GeneratorHealth,
};

/// The conditions of a mode, read once before the first request.
#[derive(Debug)]
pub(super) struct Judge {
    thresholds: Vec<Threshold>,
    rules: Rules,
    saturation: OnSaturation,
}

impl Judge {
    /// Reads the rules and checks that each threshold is about an endpoint of the plan.
    pub(super) fn new(options: &VerdictOptions, plan: &LoadPlan) -> Result<Self, ToolError> {
        check_thresholds(&options.thresholds, plan)?;
        Ok(Self {
            thresholds: each_once(&options.thresholds),
            rules: Rules::load(options.rules.as_deref(), options.no_rules, options.fail_on.severity())?,
            saturation: options.saturation,
        })
    }

    /// Checks every condition against a finished run.
    pub(super) fn checks(&self, session: &Session) -> Vec<Check> {
        if session.ended_in_warm_up() {
            return not_measured(session).into_iter().collect();
        }
        let elapsed = session.end.elapsed;
        let measured = Measurement {
            tally: &session.tally,
            seconds: elapsed.as_secs_f64(),
            arrivals: session.arrivals(),
            hint: session.hint(),
        };
        let mut checks = judge_thresholds(&self.thresholds, measured);
        checks.extend(self.rules.judge(&session.tally, elapsed));
        checks.extend(implicit(measured, &self.thresholds));
        checks.extend(outage(&session.outages()));
        checks
    }

    /// Returns the conclusion of a run that ended for `reason`.
    pub(super) fn conclude(&self, reason: StopReason, generator: &GeneratorHealth, checks: &[Check]) -> Conclusion {
        let saturated = generator.is_saturated() && self.saturation == OnSaturation::Fail;
        Conclusion::of(reason, saturated, checks)
    }

    /// What `--saturation` says.
    pub(super) fn on_saturation(&self) -> OnSaturation {
        self.saturation
    }
}

/// Returns thresholds without those that say what an earlier one says: a condition is judged and shown once.
fn each_once(given: &[Threshold]) -> Vec<Threshold> {
    let mut thresholds: Vec<Threshold> = Vec::new();
    for threshold in given {
        if !thresholds.iter().any(|earlier| earlier.is_same(threshold)) {
            thresholds.push(threshold.clone());
        }
    }
    thresholds
}

/// Returns a note on the longest time in which nothing succeeded: its few failures may be within every limit.
fn outage(outages: &[OutageResult]) -> Option<Check> {
    let longest = outages.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    let OutageResult { start, seconds, failed } = *longest;
    let further = match outages.len() - 1 {
        0 => String::new(),
        1 => ", and once more for a shorter time".to_owned(),
        more => format!(", and {more} more times for a shorter time"),
    };
    let what = if failed == 0 { "requests hung".to_owned() } else { format!("{failed} failed") };
    let (seconds, start) = (show_seconds(seconds), show_seconds(start));
    Some(Check {
        source: CheckSource::Always,
        subject: "all requests".to_owned(),
        condition: "some request succeeds at any time".to_owned(),
        observed: format!("no success for {seconds} from {start} on, while {what}{further}"),
        status: CheckStatus::Noted,
    })
}

/// Returns the breach of a run that ended in its warm-up by itself, which nothing else can be said about; `None` where it was
/// interrupted or reached nothing, which is its conclusion.
fn not_measured(session: &Session) -> Option<Check> {
    let requests = session.shared.recorder.warm_up();
    (session.end.reason == StopReason::Finished).then(|| Check {
        source: CheckSource::Always,
        subject: "all requests".to_owned(),
        condition: "some request is measured".to_owned(),
        observed: format!("the run ended in its warm-up, after {requests} requests{}", session.hint()),
        status: CheckStatus::Breached,
    })
}
