//! Decides which load a capacity search tries next.
//!
//! The border lies between the highest load that holds and the lowest that fails. Doubling finds a load that fails,
//! bisecting narrows the border, and a longer hold confirms it: a queue that fills slowly passes for ten seconds and
//! fails in thirty. Where the longer hold fails, the search goes down in steps that begin small, and closes in again on the
//! highest load that holds for longer.
//!
//! Two invariants. Only a load that the service failed twice moves the border, since a single step may be unlucky; a service
//! that went away needs no second proof. And a saturated generator or an interruption says nothing about the service.

use crate::result::{SearchEnd, StepEnd};

/// A gap of a twentieth of the load is close enough: repeated runs differ by more.
const CLOSE: usize = 20;
/// The first step down after a confirmation that failed, as a part of the load; each further one is twice as long.
const FIRST_STEP_DOWN: usize = 40;
/// Steps down of 1, 2, 4, 8 and 16 fortieths reach a quarter of what bisecting found; the rest closes in again.
const MOST_CONFIRMATIONS: usize = 10;
/// Times that a load must fail, or saturate the generator, before it is a bound.
const BOUND_AFTER: usize = 2;

/// What a search has learned so far.
#[derive(Debug)]
pub(super) struct Border {
    least: usize,
    most: usize,
    phase: SearchPhase,
    load: usize,
    /// How the tries of `load` ended so far that were no bound yet.
    tries: Tries,
    /// The highest load that held for a step; 0 before one did.
    good: usize,
    /// The lowest load that failed for a step.
    bad: Option<usize>,
    confirmation: Confirmation,
    end: Option<SearchEnd>,
}

/// How often a load failed or saturated the generator.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: usize,
    saturated: usize,
}

/// What longer holds have shown.
#[derive(Debug, Default)]
struct Confirmation {
    /// Loads that were tried.
    loads: usize,
    /// The highest load that held for longer; 0 before one did.
    held: usize,
    /// The lowest load that did not.
    refused: Option<usize>,
    /// The next step down.
    step: usize,
    /// What keeps the answer from being higher.
    bound: Bound,
}

/// What lies above the load that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Bound {
    /// The service's own limit.
    #[default]
    Service,
    /// The generator's limit.
    Generator,
    /// The highest load that may be tried.
    Most,
}

/// The purpose of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchPhase {
    Doubling,
    Bisecting,
    Confirming,
}

/// What a step has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// The load holds.
    Holds,
    /// The load is too much.
    Bound,
    /// Nothing yet: it is tried again, or the search is over.
    Nothing,
}

impl SearchPhase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Doubling => "doubling",
            Self::Bisecting => "bisecting",
            Self::Confirming => "confirming",
        }
    }
}

impl Border {
    /// Begins a search at `start`; `least` and `most` are the lowest and the highest load that may be tried.
    pub(super) fn new(least: usize, start: usize, most: usize) -> Self {
        Self {
            least: least.min(most),
            most,
            phase: SearchPhase::Doubling,
            load: start.min(most),
            tries: Tries::default(),
            good: 0,
            bad: None,
            confirmation: Confirmation::default(),
            end: None,
        }
    }

    /// Returns the load and the purpose of the next step; `None` at the end of the search.
    pub(super) fn next(&self) -> Option<(usize, SearchPhase)> {
        self.end.is_none().then_some((self.load, self.phase))
    }

    /// Whether the next step tries a load again that has failed or saturated the generator.
    pub(super) fn tries_again(&self) -> bool {
        self.tries.failed + self.tries.saturated > 0
    }

    /// Records how the step ended that [`Self::next`] asked for.
    pub(super) fn learn(&mut self, end: StepEnd) -> Lesson {
        match end {
            StepEnd::Interrupted => {
                self.end = Some(SearchEnd::Interrupted);
                return Lesson::Nothing;
            }
            StepEnd::Passed => {}
            StepEnd::Failed => self.tries.failed += 1,
            StepEnd::Saturated => self.tries.saturated += 1,
        }
        if end != StepEnd::Passed && self.tries.failed.max(self.tries.saturated) < BOUND_AFTER {
            return Lesson::Nothing;
        }
        self.conclude(end)
    }

    /// Records that the service did not survive the step that [`Self::next`] asked for.
    pub(super) fn learn_outage(&mut self) -> Lesson {
        self.conclude(StepEnd::Failed)
    }

    /// Ends the search because the service is gone.
    pub(super) fn lose_service(&mut self) {
        self.end = Some(SearchEnd::WentAway);
    }

    /// Whether the service may bear more than the load that was found.
    pub(super) fn is_at_least(&self) -> bool {
        self.confirmation.bound != Bound::Service
    }

    /// Returns how the search ended; `None` while it runs.
    pub(super) fn end(&self) -> Option<SearchEnd> {
        self.end
    }

    /// Moves the border: the load holds, or it is a bound.
    fn conclude(&mut self, end: StepEnd) -> Lesson {
        self.tries = Tries::default();
        match (self.phase, end) {
            (_, StepEnd::Interrupted) => return Lesson::Nothing,
            (SearchPhase::Confirming, _) => self.confirm_or_refuse(end),
            (SearchPhase::Doubling, StepEnd::Passed) if self.load >= self.most => {
                self.good = self.load;
                self.confirm(Bound::Most);
            }
            (SearchPhase::Doubling, StepEnd::Passed) => {
                self.good = self.load;
                self.load = (self.load * 2).min(self.most);
            }
            (SearchPhase::Bisecting, StepEnd::Passed) => {
                self.good = self.load;
                self.bisect();
            }
            (SearchPhase::Doubling, StepEnd::Failed) if self.good == 0 => self.end = Some(SearchEnd::LowestFails),
            (SearchPhase::Doubling, StepEnd::Saturated) if self.good == 0 => self.end = Some(SearchEnd::Saturated),
            (SearchPhase::Doubling | SearchPhase::Bisecting, StepEnd::Failed) => {
                self.bad = Some(self.load);
                self.bisect();
            }
            (SearchPhase::Doubling | SearchPhase::Bisecting, StepEnd::Saturated) => self.confirm(Bound::Generator),
        }
        if end == StepEnd::Passed { Lesson::Holds } else { Lesson::Bound }
    }

    fn bisect(&mut self) {
        let bad = self.bad.unwrap_or(self.good);
        if are_close(self.good, bad) {
            self.confirm(Bound::Service);
        } else {
            (self.phase, self.load) = (SearchPhase::Bisecting, between(self.good, bad));
        }
    }

    fn confirm(&mut self, bound: Bound) {
        (self.phase, self.load) = (SearchPhase::Confirming, self.good);
        self.confirmation = Confirmation { step: (self.good / FIRST_STEP_DOWN).max(1), bound, ..Default::default() };
    }

    /// Records what a longer hold has shown of `load`, and chooses the next one: below while none has held, then between the
    /// highest that held and the lowest that did not.
    fn confirm_or_refuse(&mut self, end: StepEnd) {
        let confirmation = &mut self.confirmation;
        confirmation.loads += 1;
        if end == StepEnd::Passed {
            confirmation.held = self.load;
        } else {
            confirmation.refused = Some(self.load);
            confirmation.bound = if end == StepEnd::Saturated { Bound::Generator } else { Bound::Service };
        }
        let is_over = confirmation.loads >= MOST_CONFIRMATIONS;
        match (confirmation.held, confirmation.refused) {
            (0, _) if is_over || self.load <= self.least => {
                let is_generators = confirmation.bound == Bound::Generator;
                self.end = Some(if is_generators { SearchEnd::Saturated } else { SearchEnd::NotConfirmed });
            }
            (0, _) => {
                self.load = self.load.saturating_sub(confirmation.step).max(self.least);
                confirmation.step *= 2;
            }
            (held, Some(refused)) if !is_over && !are_close(held, refused) => self.load = between(held, refused),
            (_, _) => {
                let is_generators = confirmation.bound == Bound::Generator;
                self.end = Some(if is_generators { SearchEnd::Saturated } else { SearchEnd::Confirmed });
            }
        }
    }
}

fn are_close(good: usize, bad: usize) -> bool {
    bad.saturating_sub(good) <= (good / CLOSE).max(1)
}

fn between(good: usize, bad: usize) -> usize {
    good + (bad - good) / 2
}

#[cfg(test)]
mod tests {
    use StepEnd::{Failed, Interrupted, Passed, Saturated};

    use super::*;

    /// Runs a search whose steps end as `step` says; returns its loads, its end, and whether the answer is a lower bound.
    fn search(most: usize, step: impl FnMut(usize, SearchPhase) -> StepEnd) -> (Vec<usize>, SearchEnd, bool) {
        search_from(1, most, step)
    }

    fn search_from(
        start: usize,
        most: usize,
        mut step: impl FnMut(usize, SearchPhase) -> StepEnd,
    ) -> (Vec<usize>, SearchEnd, bool) {
        let mut border = Border::new(1, start, most);
        let mut loads = Vec::new();
        while let Some((load, phase)) = border.next() {
            loads.push(load);
            border.learn(step(load, phase));
        }
        (loads, border.end().unwrap(), border.is_at_least())
    }

    /// The highest load that held for longer, where each load ends as `step` says.
    fn answer(start: usize, mut step: impl FnMut(usize, SearchPhase) -> StepEnd) -> usize {
        let mut best = 0;
        search_from(start, 10_000, |load, phase| {
            let end = step(load, phase);
            if (phase, end) == (SearchPhase::Confirming, Passed) {
                best = best.max(load);
            }
            end
        });
        best
    }

    #[test]
    fn the_border_is_bisected_and_confirmed() {
        let found = search(100, |load, _| if load <= 11 { Passed } else { Failed });
        assert_eq!(found, (vec![1, 2, 4, 8, 16, 16, 12, 12, 10, 11, 11], SearchEnd::Confirmed, false));
        assert_eq!(search(8, |_, _| Passed), (vec![1, 2, 4, 8, 8], SearchEnd::Confirmed, true));
        assert_eq!(search(8, |_, _| Failed), (vec![1, 1], SearchEnd::LowestFails, false));
    }

    #[test]
    fn a_step_that_fails_once_is_no_bound() {
        for unlucky in 0..12 {
            let mut steps = 0;
            let found = answer(10, |load, _| {
                steps += 1;
                if load <= 192 && steps != unlucky + 1 { Passed } else { Failed }
            });
            assert!((185..=192).contains(&found), "{found} with an unlucky step {unlucky}");
        }
    }

    #[test]
    fn a_generator_that_is_busy_once_is_no_bound() {
        for unlucky in 0..12 {
            let mut steps = 0;
            let found = answer(10, |load, _| {
                steps += 1;
                match load {
                    _ if steps == unlucky + 1 => Saturated,
                    ..=192 => Passed,
                    _ => Failed,
                }
            });
            assert!((185..=192).contains(&found), "{found} with an unlucky step {unlucky}");
        }
    }

    #[test]
    fn the_highest_load_that_holds_for_longer_is_found() {
        for limit in 2..400 {
            // Bisecting finds what holds for a step: up to half as much again.
            for for_a_step in [limit, limit + 1, limit * 21 / 20, limit * 5 / 4, limit * 3 / 2] {
                let found = answer(1, |load, phase| {
                    let bearable = if phase == SearchPhase::Confirming { limit } else { for_a_step };
                    if load <= bearable { Passed } else { Failed }
                });
                let least = limit - (limit / CLOSE).max(1);
                assert!((least..=limit).contains(&found), "{found} of {limit}, {for_a_step} for a step");
            }
        }
    }

    #[test]
    fn a_load_that_does_not_hold_for_longer_is_lowered_a_few_times() {
        let shorter =
            |load: usize, phase| if load <= 100 && phase != SearchPhase::Confirming { Passed } else { Failed };
        let (loads, end, at_least) = search(1000, shorter);
        assert_eq!(
            (&loads[loads.len() - 14..], end, at_least),
            (&[100, 100, 98, 98, 94, 94, 86, 86, 70, 70, 38, 38, 1, 1][..], SearchEnd::NotConfirmed, false)
        );
    }

    #[test]
    fn a_search_does_not_go_below_the_least_load() {
        let mut border = Border::new(5, 8, 100);
        let mut loads = Vec::new();
        while let Some((load, phase)) = border.next() {
            loads.push(load);
            border.learn(if phase != SearchPhase::Confirming && load <= 8 { Passed } else { Failed });
        }
        assert_eq!((loads.iter().min(), border.end()), (Some(&5), Some(SearchEnd::NotConfirmed)));
    }

    #[test]
    fn a_saturated_generator_is_no_limit_of_the_service() {
        assert_eq!(search(100, |_, _| Saturated), (vec![1, 1], SearchEnd::Saturated, false));
        let above = |load: usize, _| if load <= 8 { Passed } else { Saturated };
        assert_eq!(search(100, above), (vec![1, 2, 4, 8, 16, 16, 8], SearchEnd::Saturated, true));
        let between = |load: usize, _| match load {
            ..=8 => Passed,
            9..16 => Saturated,
            16.. => Failed,
        };
        assert_eq!(search(100, between), (vec![1, 2, 4, 8, 16, 16, 12, 12, 8], SearchEnd::Saturated, true));
        // A load below the generator's own limit that holds for longer is still an answer.
        let longer = |load: usize, phase| match phase {
            SearchPhase::Confirming if load > 90 => Saturated,
            SearchPhase::Doubling | SearchPhase::Bisecting | SearchPhase::Confirming => Passed,
        };
        let (loads, end, at_least) = search(100, longer);
        assert_eq!(
            (&loads[loads.len() - 7..], end, at_least),
            (&[100, 98, 98, 94, 94, 86, 90][..], SearchEnd::Saturated, true)
        );
    }

    #[test]
    fn a_failure_and_a_saturation_are_decided_by_a_third_try() {
        let mut ends = vec![Passed, Failed, Saturated, Failed].into_iter();
        let (loads, _, at_least) = search(2, |_, _| ends.next().unwrap_or(Passed));
        assert_eq!((loads, at_least), (vec![1, 2, 2, 2, 1], false));
    }

    #[test]
    fn a_service_that_dies_is_not_killed_again() {
        let mut border = Border::new(1, 1, 100);
        assert_eq!(border.learn(Passed), Lesson::Holds);
        assert_eq!(border.learn_outage(), Lesson::Bound);
        assert_eq!(border.next(), Some((1, SearchPhase::Confirming)));
    }

    #[test]
    fn without_a_service_the_search_ends() {
        let mut border = Border::new(1, 1, 100);
        border.learn(Passed);
        border.learn(Failed);
        border.lose_service();
        assert_eq!((border.next(), border.end()), (None, Some(SearchEnd::WentAway)));
    }

    #[test]
    fn an_interruption_ends_the_search_in_every_phase() {
        for wanted in [SearchPhase::Doubling, SearchPhase::Bisecting, SearchPhase::Confirming] {
            let step = |load: usize, phase| match load {
                _ if phase == wanted => Interrupted,
                ..=11 => Passed,
                12.. => Failed,
            };
            assert_eq!(search(100, step).1, SearchEnd::Interrupted, "{wanted:?}");
        }
    }
}
