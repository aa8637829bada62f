//! [`Coverage`]: how much a rule looks at now. A rule that looks at nothing finds nothing, and must not pass for good news.

use super::{
    budget::Budget,
    evaluate::question,
    readings::{Question, Readings},
    rule::Rule,
};

/// How many subjects a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Subjects that have a value of the measure, whether the rule chooses them or not.
    pub(crate) measured: usize,
    /// Those that the rule chooses by `match` and `exclude`.
    pub(crate) chosen: usize,
    /// Those of them with `min_samples` observations or more: they are compared with the thresholds.
    pub(crate) judged: usize,
    /// The most observations that one of the chosen has.
    pub(crate) most_samples: u64,
}

impl Coverage {
    /// Counts the subjects of a rule.
    pub(crate) fn of(rule: &Rule, readings: &impl Readings) -> Self {
        if rule.slo.is_some() {
            return Self::of_budgets(rule, readings.budgets(rule));
        }
        let all = readings.read(&Question { min_samples: 1, ..question(rule, rule.measure) });
        let chosen: Vec<u64> =
            all.iter().filter(|reading| rule.applies_to(&reading.subject)).map(|reading| reading.samples).collect();
        Self {
            measured: all.len(),
            chosen: chosen.len(),
            judged: chosen.iter().filter(|samples| **samples >= rule.min_samples).count(),
            most_samples: chosen.iter().copied().max().unwrap_or(0),
        }
    }

    /// Counts the budgets of an objective, by the requests of its whole window.
    fn of_budgets(rule: &Rule, budgets: &[Budget]) -> Self {
        let samples = || budgets.iter().map(|budget| budget.whole.total);
        Self {
            measured: budgets.len(),
            chosen: budgets.len(),
            judged: samples().filter(|samples| *samples >= rule.min_samples).count(),
            most_samples: samples().max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        Measure, Scope,
        fixed::{self, FixedReadings, endpoint},
    };

    #[test]
    fn subjects_are_counted_by_what_a_rule_does_with_them() {
        let rules = fixed::rules("{ high: '> 1s' }", "match: { http_route: /api/* }\n    min_samples: 20");
        let readings = [("/api/a", 10), ("/api/b", 30), ("/c", 90)].into_iter().fold(
            FixedReadings::default(),
            |readings, (route, samples)| {
                readings.with(Scope::Endpoint, Measure::AvgDuration, &endpoint("GET", route), 0.1, samples)
            },
        );
        let found = Coverage::of(&rules.rules()[0], &readings);
        assert_eq!(found, Coverage { measured: 3, chosen: 2, judged: 1, most_samples: 30 });
        let found = Coverage::of(&rules.rules()[0], &FixedReadings::default());
        assert_eq!(found, Coverage { measured: 0, chosen: 0, judged: 0, most_samples: 0 });
    }
}
