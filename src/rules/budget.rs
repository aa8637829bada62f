//! [`Budget`]: how much of an objective's error budget is spent, how fast, and how long it lasts.
//!
//! Pure arithmetic over counts of requests. A window that the history does not cover is counted as far as it is known, and
//! [`Budget::known`] says how far that is. Invariant: nothing is extrapolated but the time to the budget's end, which says so.

use std::{sync::Arc, time::Duration};

use super::{
    evidence::{Evidence, Fact},
    fact::{self, NumberFact, WordFact},
    severity::Severity,
    slo::{BURN_WINDOWS, BurnAlert, PRESENT, RequestCounts, Slo},
    subject::Subject,
    threshold::{Threshold, Thresholds},
};

/// The error budget of one subject of an objective at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Budget {
    pub(crate) subject: Arc<Subject>,
    /// In each of [`BURN_WINDOWS`].
    pub(crate) burning: [RequestCounts; BURN_WINDOWS.len()],
    /// In the objective's own window.
    pub(crate) whole: RequestCounts,
    /// How far back requests are known, at most the objective's window.
    pub(crate) known: Duration,
    /// Endpoints with bad requests in [`PRESENT`], those with the most first.
    pub(crate) worst: Vec<(Arc<str>, RequestCounts)>,
}

impl Budget {
    /// Returns the counts of one of [`BURN_WINDOWS`].
    pub(crate) fn counts(&self, window: Duration) -> RequestCounts {
        BURN_WINDOWS
            .iter()
            .position(|known| *known == window)
            .map_or_else(RequestCounts::default, |at| self.burning[at])
    }

    /// Returns how many times as fast as the objective allows the budget is spent in one of [`BURN_WINDOWS`]; `None` without
    /// requests.
    pub(crate) fn burn_rate(&self, slo: &Slo, window: Duration) -> Option<f64> {
        Some(self.counts(window).bad_ratio()? / slo.allowed_ratio())
    }

    /// Returns the share of the budget that is left, of the requests that are known; below 0 where more is spent than there was.
    /// `None` without requests.
    pub(crate) fn left_ratio(&self, slo: &Slo) -> Option<f64> {
        Some(1.0 - self.whole.bad_ratio()? / slo.allowed_ratio())
    }

    /// Returns when the budget is spent if requests come and fail as in the last hour; zero where it is. `None` where it is not spent
    /// within the objective's window, or no request has come in the last hour.
    ///
    /// While the window is not full, each new request adds to the budget: with a share L left of what is known for K it ends after
    /// K·L / (burn rate − 1). Once the window W is full, what enters replaces what leaves: it ends after W·L / burn rate, if none
    /// of the bad requests has left the window by then.
    pub(crate) fn ends_in(&self, slo: &Slo) -> Option<Duration> {
        let (left, rate) = (self.left_ratio(slo)?, self.burn_rate(slo, PRESENT)?);
        if left <= 0.0 {
            return Some(Duration::ZERO);
        }
        let (window, known) = (slo.window.as_secs_f64(), self.known.as_secs_f64().min(slo.window.as_secs_f64()));
        let until_full = window - known;
        let growing = if rate > 1.0 { known * left / (rate - 1.0) } else { f64::INFINITY };
        let seconds = if growing <= until_full {
            growing
        } else {
            // The share that is left when the window has become full.
            let left = (known * left + until_full * (1.0 - rate)) / window;
            until_full + window * left / rate
        };
        // Not a number, or infinite, where nothing is spent.
        (seconds <= window).then(|| Duration::from_secs_f64(seconds.max(0.0)))
    }

    /// Returns the severities whose burn rate is passed in both of their windows, from the lowest.
    ///
    /// A severity whose short window the history does not cover is not judged, nor one with too few requests or bad requests in
    /// its long window: an error at night is no outage.
    pub(crate) fn passed(&self, slo: &Slo, thresholds: &Thresholds, min_samples: u64) -> Vec<(Severity, Threshold)> {
        let is_passed = |(severity, threshold): &(Severity, Threshold)| {
            let BurnAlert { long, short, .. } = BurnAlert::of(*severity);
            let counts = self.counts(long);
            let is_enough = self.known >= short && counts.total >= min_samples && counts.bad >= slo.min_bad;
            let is_over = |window| self.burn_rate(slo, window).is_some_and(|rate| threshold.is_passed_by(rate));
            is_enough && is_over(long) && is_over(short)
        };
        thresholds.0.iter().filter(|one| is_passed(one)).copied().collect()
    }

    /// Returns what is known, as the texts and conditions of a finding of this severity name it.
    pub(crate) fn evidence(&self, slo: &Slo, severity: Severity) -> Evidence {
        let BurnAlert { long, short, .. } = BurnAlert::of(severity);
        let RequestCounts { total, bad } = self.counts(long);
        let number = |NumberFact { name, unit }: NumberFact, value: f64| (name, Fact::Number(value, unit));
        let word = |WordFact { name }: WordFact, word: Arc<str>| (name, Fact::Word(word));
        let mut facts = vec![
            number(fact::OBJECTIVE, slo.objective),
            number(fact::SLO_WINDOW, slo.window.as_secs_f64()),
            number(fact::REQUESTS, total as f64),
            number(fact::BAD_REQUESTS, bad as f64),
            number(fact::SHORT_WINDOW, short.as_secs_f64()),
            number(fact::KNOWN_FOR, self.known.as_secs_f64()),
            word(fact::BAD, slo.bad.about().into()),
        ];
        let burning = [(fact::BURN_RATE, long), (fact::SHORT_BURN_RATE, short)];
        facts.extend(burning.into_iter().filter_map(|(fact, window)| Some(number(fact, self.burn_rate(slo, window)?))));
        facts.extend(self.left_ratio(slo).map(|left| number(fact::BUDGET_LEFT, left)));
        facts.extend(self.ends_in(slo).map(|time| number(fact::BUDGET_ENDS_IN, time.as_secs_f64())));
        let all = self.counts(PRESENT).bad;
        if let Some((endpoint, counts)) = self.worst.first().filter(|_| all > 0) {
            facts.push(word(fact::TOP_ENDPOINT, endpoint.clone()));
            facts.push(number(fact::TOP_ENDPOINT_RATIO, counts.bad as f64 / all as f64));
        }
        Evidence { facts, worst: self.worst.clone(), ..Evidence::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::slo::{BURN_ALERTS, BadRequests, SloScope};

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn slo(objective: f64) -> Slo {
        Slo { objective, window: DAY * 30, bad: BadRequests::Errors, scope: SloScope::Service, min_bad: 5 }
    }

    fn counts(total: u64, bad: u64) -> RequestCounts {
        RequestCounts { total, bad }
    }

    /// A budget that is known for its whole window, with these counts in the windows that are named.
    fn budget(whole: RequestCounts, windows: &[(Duration, RequestCounts)]) -> Budget {
        let of =
            |window: Duration| windows.iter().find(|(named, _)| *named == window).map_or(whole, |(_, counts)| *counts);
        Budget {
            subject: Arc::new(Subject::new("service", Vec::new())),
            burning: BURN_WINDOWS.map(of),
            whole,
            known: DAY * 30,
            worst: Vec::new(),
        }
    }

    #[track_caller]
    fn near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?}, expected {expected}");
    }

    fn default_thresholds() -> Thresholds {
        Thresholds(BURN_ALERTS.map(|alert| (alert.severity, alert.threshold())).to_vec())
    }

    fn passed(budget: &Budget) -> Vec<Severity> {
        budget.passed(&slo(0.999), &default_thresholds(), 5).into_iter().map(|(severity, _)| severity).collect()
    }

    #[test]
    fn the_workbooks_example() {
        // 99.9 %, 0.1 % errors: the budget ends with the window. 1.44 % errors spend it 14.4 times as fast.
        let even = budget(counts(1_000_000, 1000), &[(HOUR, counts(10_000, 144))]);
        near(even.burn_rate(&slo(0.999), HOUR), 14.4);
        near(even.burn_rate(&slo(0.999), HOUR * 6), 1.0);
        near(even.left_ratio(&slo(0.999)), 0.0);
        // 100 % errors of 99.9 % burn at 1000.
        near(budget(counts(50, 50), &[]).burn_rate(&slo(0.999), HOUR), 1000.0);
        near(budget(counts(50, 50), &[]).left_ratio(&slo(0.999)), -999.0);
        assert_eq!(budget(counts(0, 0), &[]).burn_rate(&slo(0.999), HOUR), None);
        assert_eq!(budget(counts(0, 0), &[]).left_ratio(&slo(0.999)), None);
    }

    #[test]
    fn a_full_windows_budget_ends_after_what_is_left_of_it_over_the_burn_rate() {
        // Half is left and is spent twice as fast: 30 d · 0.5 / 2.
        let half = budget(counts(1_000_000, 500), &[(HOUR, counts(1000, 2))]);
        assert_eq!(half.ends_in(&slo(0.999)).map(|time| time.as_secs_f64().round()), Some(7.5 * 86_400.0));
        let spent = budget(counts(1_000_000, 2000), &[(HOUR, counts(1000, 0))]);
        assert_eq!(spent.ends_in(&slo(0.999)), Some(Duration::ZERO));
        let slow = budget(counts(1_000_000, 100), &[(HOUR, counts(100_000, 10))]);
        assert_eq!(slow.ends_in(&slo(0.999)), None, "0.9 left at a tenth of the rate lasts longer than the window");
        let quiet = budget(counts(1_000_000, 100), &[(HOUR, counts(0, 0))]);
        assert_eq!(quiet.ends_in(&slo(0.999)), None, "nothing is known of the present");
        let fine = budget(counts(1_000_000, 0), &[(HOUR, counts(1000, 0))]);
        assert_eq!(fine.ends_in(&slo(0.999)), None);
    }

    #[test]
    fn the_budget_of_a_window_that_is_not_full_grows_with_the_requests() {
        // Known for a day at 1000 requests an hour, 12 of 24 spent. At 1.3 % errors each hour adds 1 and spends 13.
        let mut young = budget(counts(24_000, 12), &[(HOUR, counts(1000, 13))]);
        young.known = DAY;
        let seconds = young.ends_in(&slo(0.999)).expect("it ends").as_secs_f64();
        assert!((seconds - 3600.0).abs() < 1.0, "12 + 13 h = 24 + h after an hour: {seconds}");
        // At 1.01 times the rate it would grow for 1,200 h, and the window is full after 696: 12 + 1.01 · 696 of 720 are spent
        // then, and 5.04 are left for a rate of 1.01 an hour.
        young.burning[2] = counts(100_000, 101);
        assert_eq!(young.ends_in(&slo(0.999)).map(|time| (time.as_secs_f64() / 36.0).round()), Some(70_099.0));
        // At 0.5 times the rate it is never spent.
        young.burning[2] = counts(100_000, 50);
        assert_eq!(young.ends_in(&slo(0.999)), None);
    }

    #[test]
    fn both_windows_must_burn() {
        let burning = counts(10_000, 300);
        let fine = counts(10_000, 0);
        let step = budget(fine, &[(MINUTE * 5, burning), (HOUR, burning)]);
        assert_eq!(passed(&step), [Severity::Critical]);
        let ended = budget(fine, &[(MINUTE * 5, fine), (HOUR, burning)]);
        assert_eq!(passed(&ended), [] as [Severity; 0], "a spike that has ended");
        let began = budget(fine, &[(MINUTE * 5, burning), (HOUR, counts(10_000, 10))]);
        assert_eq!(passed(&began), [] as [Severity; 0], "a spike that is too short to matter");
        let slow = counts(10_000, 20);
        assert_eq!(passed(&budget(slow, &[])), [Severity::Low], "twice the rate in every window");
        assert_eq!(passed(&budget(burning, &[])), Severity::ALL, "thirty times");
    }

    #[test]
    fn a_threshold_is_passed_above_it_and_not_at_it() {
        let at =
            |bad| passed(&budget(counts(0, 0), &[(MINUTE * 30, counts(10_000, bad)), (HOUR * 6, counts(10_000, bad))]));
        assert_eq!(at(59), [] as [Severity; 0]);
        assert_eq!(at(61), [Severity::High]);
    }

    #[test]
    fn few_requests_are_no_outage() {
        let night = counts(40, 4);
        assert_eq!(passed(&budget(night, &[])), [] as [Severity; 0], "100 times the rate, and four requests");
        assert_eq!(passed(&budget(counts(40, 5), &[])).len(), 4);
        let thresholds = default_thresholds();
        assert_eq!(budget(counts(40, 5), &[]).passed(&slo(0.999), &thresholds, 41), []);
    }

    #[test]
    fn a_window_that_is_not_known_is_not_judged() {
        let mut young = budget(counts(10_000, 300), &[]);
        young.known = MINUTE * 4;
        assert_eq!(passed(&young), [] as [Severity; 0]);
        young.known = MINUTE * 31;
        assert_eq!(passed(&young), [Severity::High, Severity::Critical]);
        young.known = HOUR * 6;
        assert_eq!(passed(&young), Severity::ALL);
    }
}
