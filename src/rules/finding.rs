//! [`Finding`]: the result of one evaluation for one subject, before it is put into words.

use std::{sync::Arc, time::Duration};

use super::{
    cause::Diagnosis, evidence::Evidence, rule::Rule, severity::Severity, subject::Subject, threshold::Threshold,
};

/// Where the service as a whole is worse than in the version before, an endpoint stands out that is so many times as much worse.
pub(crate) const STANDS_OUT: f64 = 2.0;

/// A subject that is over at least one threshold of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: Arc<Rule>,
    pub(crate) subject: Arc<Subject>,
    /// In the rule's unit.
    pub(crate) value: f64,
    /// How far back the value reaches.
    pub(crate) window: Duration,
    pub(crate) samples: u64,
    /// The thresholds it is over, from the lowest; never empty.
    pub(crate) passed: Vec<(Severity, Threshold)>,
    /// Those that it is over too, with severities that its cause does not deserve.
    pub(crate) withheld: Vec<(Severity, Threshold)>,
    pub(crate) evidence: Arc<Evidence>,
    pub(crate) cause: Option<Diagnosis>,
    /// The finding that it follows from, where both have one cause.
    pub(crate) caused_by: Option<CausedBy>,
}

/// Names the finding that another follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CausedBy {
    /// Id of the rule.
    pub(crate) rule: Arc<str>,
    pub(crate) subject: Arc<str>,
}
