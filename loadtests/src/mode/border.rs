//! Decides which load a capacity search tries next.
//!
//! The border lies between the highest load that holds and the lowest that fails. Doubling finds a load that fails,
//! bisecting narrows the border, and a longer hold confirms it: a queue that fills slowly passes for ten seconds and
//! fails in thirty. The invariant: only a step that the service failed moves the border. A saturated generator and an
//! interruption say nothing about the service.

use crate::result::{SearchEnd, StepEnd};

/// A gap of a twentieth of the load is close enough: repeated runs differ by more.
const CLOSE: usize = 20;
/// Each confirmation lowers the load by a tenth; four of them reach a third below what bisecting found.
const MOST_CONFIRMATIONS: usize = 4;

/// What a search has learned so far.
#[derive(Debug)]
pub(super) struct Border {
    most: usize,
    phase: SearchPhase,
    load: usize,
    /// The highest load that held for a step; 0 before one did.
    good: usize,
    /// The lowest load that failed.
    bad: Option<usize>,
    confirmations: usize,
    saturated: bool,
    at_least: bool,
    end: Option<SearchEnd>,
}

/// The purpose of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchPhase {
    Doubling,
    Bisecting,
    Confirming,
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
    /// Starts a search; `most` is the highest load that may be tried.
    pub(super) fn new(start: usize, most: usize) -> Self {
        Self {
            most,
            phase: SearchPhase::Doubling,
            load: start.min(most),
            good: 0,
            bad: None,
            confirmations: 0,
            saturated: false,
            at_least: false,
            end: None,
        }
    }

    /// Returns the load and the purpose of the next step; `None` at the end of the search.
    pub(super) fn next(&self) -> Option<(usize, SearchPhase)> {
        self.end.is_none().then_some((self.load, self.phase))
    }

    /// Records how the step ended that [`Self::next`] asked for.
    pub(super) fn learn(&mut self, end: StepEnd) {
        match (self.phase, end) {
            (_, StepEnd::Interrupted) => self.end = Some(SearchEnd::Interrupted),
            (SearchPhase::Doubling, StepEnd::Passed) => {
                self.good = self.load;
                if self.load >= self.most {
                    self.at_least = true;
                    self.confirm();
                } else {
                    self.load = (self.load * 2).min(self.most);
                }
            }
            (SearchPhase::Doubling, StepEnd::Failed) if self.good == 0 => self.end = Some(SearchEnd::LowestFails),
            (SearchPhase::Doubling, StepEnd::Saturated) if self.good == 0 => self.end = Some(SearchEnd::Saturated),
            (SearchPhase::Bisecting, StepEnd::Passed) => {
                self.good = self.load;
                self.bisect();
            }
            (SearchPhase::Doubling | SearchPhase::Bisecting, StepEnd::Failed) => {
                self.bad = Some(self.load);
                self.bisect();
            }
            (SearchPhase::Doubling | SearchPhase::Bisecting, StepEnd::Saturated) => {
                (self.saturated, self.at_least) = (true, true);
                self.confirm();
            }
            (SearchPhase::Confirming, StepEnd::Passed) => {
                self.end = Some(if self.saturated { SearchEnd::Saturated } else { SearchEnd::Confirmed });
            }
            (SearchPhase::Confirming, StepEnd::Failed) => {
                (self.saturated, self.at_least) = (false, false);
                self.confirm_less(SearchEnd::NotConfirmed);
            }
            (SearchPhase::Confirming, StepEnd::Saturated) => {
                (self.saturated, self.at_least) = (true, true);
                self.confirm_less(SearchEnd::Saturated);
            }
        }
    }

    /// Ends the search because the service is gone.
    pub(super) fn lose_service(&mut self) {
        self.end = Some(SearchEnd::WentAway);
    }

    /// Whether the service may bear more than the load that was found.
    pub(super) fn is_at_least(&self) -> bool {
        self.at_least
    }

    /// Returns how the search ended; `None` while it runs.
    pub(super) fn end(&self) -> Option<SearchEnd> {
        self.end
    }

    fn bisect(&mut self) {
        let gap = self.bad.map_or(0, |bad| bad - self.good);
        if gap <= (self.good / CLOSE).max(1) {
            self.confirm();
        } else {
            (self.phase, self.load) = (SearchPhase::Bisecting, self.good + gap / 2);
        }
    }

    fn confirm(&mut self) {
        (self.phase, self.load) = (SearchPhase::Confirming, self.good);
    }

    fn confirm_less(&mut self, otherwise: SearchEnd) {
        self.confirmations += 1;
        self.load = self.load * 9 / 10;
        if self.load == 0 || self.confirmations >= MOST_CONFIRMATIONS {
            self.end = Some(otherwise);
        }
    }
}

#[cfg(test)]
mod tests {
    use StepEnd::{Failed, Interrupted, Passed, Saturated};

    use super::*;

    /// Runs a search whose steps end as `step` says; returns its loads, its end, and whether the answer is a lower bound.
    fn search(most: usize, mut step: impl FnMut(usize, SearchPhase) -> StepEnd) -> (Vec<usize>, SearchEnd, bool) {
        let mut border = Border::new(1, most);
        let mut loads = Vec::new();
        while let Some((load, phase)) = border.next() {
            loads.push(load);
            border.learn(step(load, phase));
        }
        (loads, border.end().unwrap(), border.is_at_least())
    }

    #[test]
    fn the_border_is_bisected_and_confirmed() {
        let found = search(100, |load, _| if load <= 11 { Passed } else { Failed });
        assert_eq!(found, (vec![1, 2, 4, 8, 16, 12, 10, 11, 11], SearchEnd::Confirmed, false));
        assert_eq!(search(8, |_, _| Passed), (vec![1, 2, 4, 8, 8], SearchEnd::Confirmed, true));
        assert_eq!(search(8, |_, _| Failed), (vec![1], SearchEnd::LowestFails, false));
    }

    #[test]
    fn a_load_that_does_not_hold_for_longer_is_lowered_a_few_times() {
        let shorter =
            |load: usize, phase| if load <= 100 && phase != SearchPhase::Confirming { Passed } else { Failed };
        let (loads, end, at_least) = search(1000, shorter);
        assert_eq!(
            (&loads[loads.len() - 4..], end, at_least),
            (&[100, 90, 81, 72][..], SearchEnd::NotConfirmed, false)
        );
    }

    #[test]
    fn a_saturated_generator_is_no_limit_of_the_service() {
        assert_eq!(search(100, |_, _| Saturated), (vec![1], SearchEnd::Saturated, false));
        let above = |load: usize, _| if load <= 8 { Passed } else { Saturated };
        assert_eq!(search(100, above), (vec![1, 2, 4, 8, 16, 8], SearchEnd::Saturated, true));
        let between = |load: usize, _| match load {
            ..=8 => Passed,
            9..16 => Saturated,
            16.. => Failed,
        };
        assert_eq!(search(100, between), (vec![1, 2, 4, 8, 16, 12, 8], SearchEnd::Saturated, true));
        // A load below the generator's own limit that holds for longer is still an answer.
        let longer = |load: usize, phase| match phase {
            SearchPhase::Confirming if load > 90 => Saturated,
            SearchPhase::Doubling | SearchPhase::Bisecting | SearchPhase::Confirming => Passed,
        };
        let (loads, end, at_least) = search(100, longer);
        assert_eq!((&loads[loads.len() - 2..], end, at_least), (&[100, 90][..], SearchEnd::Saturated, true));
    }

    #[test]
    fn without_a_service_the_search_ends() {
        let mut border = Border::new(1, 100);
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
