//! How much each rule in force looks at, and why a silent one is silent.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Core, windows};
#[cfg(feature = "sqlx")]
use crate::context::sqlx_events;
use crate::{
    lock::lock,
    names,
    rules::{Activity, Coverage, Rule, Sources, WindowReadings},
};

/// A rule in force and what it looks at.
#[derive(Debug)]
pub(crate) struct RuleCoverage {
    pub(crate) rule: Arc<Rule>,
    pub(crate) coverage: Coverage,
    /// Why it cannot find anything; `None` where it can.
    pub(crate) silence: Option<String>,
}

impl Core {
    /// Returns what each rule looks at, in the windows of the last tick.
    pub(crate) fn coverage(&self, now: Instant) -> Vec<RuleCoverage> {
        let rules = self.rules.load_full();
        let index = self.recorder.index();
        let metrics: Vec<&str> = index.names();
        let metrics: Vec<&str> =
            metrics.into_iter().filter(|name| names::WINDOWED.iter().all(|metric| metric.name != *name)).collect();
        #[cfg(feature = "sqlx")]
        let (sqlx_queries, sqlx_problem) = (sqlx_events::seen(), sqlx_events::problem(self.requests_without_queries()));
        #[cfg(not(feature = "sqlx"))]
        let (sqlx_queries, sqlx_problem) = (0, None);
        let (total, judgement) = (self.total(now), self.judgement());
        let not_compared = self.not_compared();
        let sources = Sources {
            measuring: self.instruments.enabled(),
            sampling: self.sampling_interval().is_some(),
            total: &total,
            metrics: &metrics,
            sqlx_queries,
            sqlx_problem,
            memory: judgement.memory.as_ref(),
            not_compared: not_compared.as_deref(),
        };
        let history = lock(&self.history);
        let kept = windows(&rules.set).into_iter().filter_map(|length| Some((length, history.window(length)?)));
        let rhythms = lock(&self.rhythms);
        let regression = self.regression();
        let readings = WindowReadings::new(kept)
            .with_budgets(&judgement.budgets)
            .with_memory_growth(judgement.memory.as_ref().and_then(|memory| memory.growth.clone()))
            .with_activity(Activity::of(&rhythms))
            .with_regression(regression.as_deref());
        let each = rules.set.rules().iter().map(|rule| {
            let coverage = Coverage::of(rule, &readings);
            RuleCoverage { rule: rule.clone(), coverage, silence: sources.silence(rule, coverage) }
        });
        each.collect()
    }
}
