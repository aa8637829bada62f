//! [`SloGauges`]: the service-level objectives as gauges: how much of each error budget is left, how fast it is spent, and when it ends.
//!
//! Invariant: an objective has a bounded number of series, however many endpoints it is about.

use std::sync::Arc;

use super::current_gauges::{CurrentGauges, Labels};
use crate::{
    context::DynRecorder,
    names,
    rules::{BURN_WINDOWS, Budget, BudgetReadings, ObjectiveReading, Slo, window_name},
};

/// Budgets of an objective that are shown: those with the least left.
const SHOWN: usize = 10;

/// The gauges of all objectives.
pub(super) struct SloGauges {
    objective: CurrentGauges,
    left: CurrentGauges,
    known: CurrentGauges,
    ends_in: CurrentGauges,
    burn_rate: CurrentGauges,
    windows: [Arc<str>; BURN_WINDOWS.len()],
}

impl SloGauges {
    pub(super) fn new(recorder: &DynRecorder) -> Self {
        let gauges = |metric| CurrentGauges::new(recorder.clone(), metric);
        Self {
            objective: gauges(&names::SLO_OBJECTIVE),
            left: gauges(&names::SLO_BUDGET_LEFT),
            known: gauges(&names::SLO_KNOWN),
            ends_in: gauges(&names::SLO_BUDGET_ENDS_IN),
            burn_rate: gauges(&names::SLO_BURN_RATE),
            windows: BURN_WINDOWS.map(|window| window_name(window).into()),
        }
    }

    /// Shows these budgets and no others.
    pub(super) fn show(&mut self, readings: &BudgetReadings) {
        let shown: Vec<_> = readings.0.iter().flat_map(shown).collect();
        let labels = |one: &Shown<'_>| -> Labels {
            vec![(names::RULE, one.reading.rule.id.clone()), (names::SUBJECT, one.budget.subject.name.clone())]
        };
        self.objective.show(shown.iter().map(|one| (labels(one), one.slo.objective)));
        self.left.show(shown.iter().map(|one| (labels(one), one.left)));
        self.known.show(shown.iter().map(|one| (labels(one), one.budget.known.as_secs_f64())));
        let ends_in = |one: &Shown<'_>| Some((labels(one), one.budget.ends_in(one.slo)?.as_secs_f64()));
        self.ends_in.show(shown.iter().filter_map(ends_in));
        let windows = &self.windows;
        let rates = shown.iter().flat_map(|one| {
            BURN_WINDOWS.into_iter().zip(windows).filter_map(move |(window, name)| {
                let mut labels = labels(one);
                labels.push((names::WINDOW, name.clone()));
                Some((labels, one.budget.burn_rate(one.slo, window)?))
            })
        });
        self.burn_rate.show(rates);
    }
}

struct Shown<'a> {
    reading: &'a ObjectiveReading,
    slo: &'a Slo,
    budget: &'a Budget,
    left: f64,
}

/// Returns the budgets of an objective with the least left.
fn shown(reading: &ObjectiveReading) -> Vec<Shown<'_>> {
    let Some(slo) = &reading.rule.slo else { return Vec::new() };
    let of = |budget| Some(Shown { reading, slo, budget, left: Budget::left_ratio(budget, slo)? });
    let mut shown: Vec<_> = reading.budgets.iter().filter_map(of).collect();
    shown.sort_by(|a, b| a.left.total_cmp(&b.left).then_with(|| a.budget.subject.name.cmp(&b.budget.subject.name)));
    shown.truncate(SHOWN);
    shown
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        rules::{RequestCounts, RuleSet, Subject},
        store::MonitorRecorder,
    };

    fn readings(bad: &[u64]) -> BudgetReadings {
        let directory = tempfile::tempdir().expect("a directory");
        let slo = "slo: [{ id: fast, objective: 50%, scope: endpoint }]\n";
        std::fs::write(directory.path().join("slo.yaml"), slo).expect("it can be written");
        let rules = RuleSet::load_dir(directory.path()).expect("a good file");
        let budget = |(number, bad): (usize, &u64)| {
            let counts = RequestCounts { total: 1000, bad: *bad };
            Budget {
                subject: Arc::new(Subject::new(format!("GET /{number}"), Vec::new())),
                burning: [counts; BURN_WINDOWS.len()],
                whole: counts,
                known: Duration::from_secs(60),
                worst: Vec::new(),
            }
        };
        let budgets = bad.iter().enumerate().map(budget).collect();
        BudgetReadings(vec![ObjectiveReading { rule: rules.rules()[0].clone(), since: Duration::ZERO, budgets }])
    }

    #[test]
    fn the_budgets_with_the_least_left_are_shown_and_no_others() {
        let recorder = MonitorRecorder::new(1000, Vec::new());
        let mut gauges = SloGauges::new(&(Arc::new(recorder.clone()) as DynRecorder));
        gauges.show(&readings(&(0..50).collect::<Vec<_>>()));
        let lines = || -> Vec<String> {
            recorder.render().lines().filter(|line| line.starts_with("pinchpoint_slo_")).map(str::to_owned).collect()
        };
        assert_eq!(lines().len(), SHOWN * (3 + BURN_WINDOWS.len()), "{:#?}", lines());
        let has = |line: &str| lines().iter().any(|one| one == line);
        assert!(
            has("pinchpoint_slo_burn_rate{rule=\"fast\",subject=\"GET /49\",window=\"1d\"} 0.098"),
            "{:#?}",
            lines()
        );
        gauges.show(&readings(&[5]));
        assert!(has("pinchpoint_slo_budget_left_ratio{rule=\"fast\",subject=\"GET /0\"} 0.99"), "{:#?}", lines());
        assert!(has("pinchpoint_slo_budget_left_ratio{rule=\"fast\",subject=\"GET /49\"} NaN"), "{:#?}", lines());
    }
}
