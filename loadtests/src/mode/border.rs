//! Which load a search tries next, and what its steps add up to.
//!
//! Doubling finds a load that fails, bisecting the border, and a longer hold confirms it: a queue that fills slowly
//! passes for ten seconds and fails in thirty. Only a step that the service failed is a limit of the service: one in
//! which the generator was saturated, or that was interrupted, never moves the border.

use crate::result::{SearchEnd, StepEnd};

/// What a search knows so far.
#[derive(Debug)]
pub(super) struct Border {
    most: usize,
    phase: Phase,
    load: usize,
    /// The highest load that held for a step.
    good: usize,
    /// The lowest that did not.
    bad: Option<usize>,
    confirmations: usize,
    saturated: bool,
    at_least: bool,
    end: Option<SearchEnd>,
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Doubling,
    Bisecting,
    Confirming,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Doubling => "doubling",
            Self::Bisecting => "bisecting",
            Self::Confirming => "confirming",
        }
    }
}

impl Border {
    /// Nothing is known; `most` is the highest load that may be tried.
    pub(super) fn new(start: usize, most: usize) -> Self {
        Self {
            most,
            phase: Phase::Doubling,
            load: start.min(most),
            good: 0,
            bad: None,
            confirmations: 0,
            saturated: false,
            at_least: false,
            end: None,
        }
    }

    /// The load of the next step and what it is for; `None` at the end of the search.
    pub(super) fn next(&self) -> Option<(usize, Phase)> {
        self.end.is_none().then_some((self.load, self.phase))
    }

    /// Takes in how the step ended that [`Self::next`] asked for.
    pub(super) fn learn(&mut self, end: StepEnd) {
        match (self.phase, end) {
            (_, StepEnd::Interrupted) => self.end = Some(SearchEnd::Interrupted),
            (Phase::Doubling, StepEnd::Passed) => {
                self.good = self.load;
                if self.load >= self.most {
                    self.at_least = true;
                    self.confirm();
                } else {
                    self.load = (self.load * 2).min(self.most);
                }
            }
            (Phase::Doubling, StepEnd::Failed) if self.good == 0 => self.end = Some(SearchEnd::LowestFails),
            (Phase::Doubling, StepEnd::Saturated) if self.good == 0 => self.end = Some(SearchEnd::Saturated),
            (Phase::Bisecting, StepEnd::Passed) => {
                self.good = self.load;
                self.bisect();
            }
            (Phase::Doubling | Phase::Bisecting, StepEnd::Failed) => {
                self.bad = Some(self.load);
                self.bisect();
            }
            (Phase::Doubling | Phase::Bisecting, StepEnd::Saturated) => {
                (self.saturated, self.at_least) = (true, true);
                self.confirm();
            }
            (Phase::Confirming, StepEnd::Passed) => {
                self.end = Some(if self.saturated { SearchEnd::Saturated } else { SearchEnd::Confirmed });
            }
            (Phase::Confirming, StepEnd::Failed) => {
                (self.saturated, self.at_least) = (false, false);
                self.confirm_less(SearchEnd::NotConfirmed);
            }
            (Phase::Confirming, StepEnd::Saturated) => {
                (self.saturated, self.at_least) = (true, true);
                self.confirm_less(SearchEnd::Saturated);
            }
        }
    }

    /// Ends the search: there is no service any more.
    pub(super) fn lose_service(&mut self) {
        self.end = Some(SearchEnd::WentAway);
    }

    /// Whether the service may bear more than what was found.
    pub(super) fn is_at_least(&self) -> bool {
        self.at_least
    }

    /// How the search ended; `None` before its end.
    pub(super) fn end(&self) -> Option<SearchEnd> {
        self.end
    }

    fn bisect(&mut self) {
        let gap = self.bad.map_or(0, |bad| bad - self.good);
        if gap <= (self.good / CLOSE).max(1) {
            self.confirm();
        } else {
            (self.phase, self.load) = (Phase::Bisecting, self.good + gap / 2);
        }
    }

    fn confirm(&mut self) {
        (self.phase, self.load) = (Phase::Confirming, self.good);
    }

    fn confirm_less(&mut self, otherwise: SearchEnd) {
        self.confirmations += 1;
        self.load = self.load * 9 / 10;
        if self.load == 0 || self.confirmations >= MOST_CONFIRMATIONS {
            self.end = Some(otherwise);
        }
    }
}

/// The border is close enough at a twentieth of the load.
const CLOSE: usize = 20;
const MOST_CONFIRMATIONS: usize = 4;

#[cfg(test)]
mod tests {
    use StepEnd::{Failed, Interrupted, Passed, Saturated};

    use super::*;

    /// Runs a search whose steps end as `step` says; its loads, how it ended, and whether the answer is a lower bound.
    fn search(most: usize, mut step: impl FnMut(usize, Phase) -> StepEnd) -> (Vec<usize>, SearchEnd, bool) {
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
        let shorter = |load: usize, phase| if load <= 100 && phase != Phase::Confirming { Passed } else { Failed };
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
        // What holds for longer below the generator's own limit is still an answer.
        let longer = |load: usize, phase| match phase {
            Phase::Confirming if load > 90 => Saturated,
            Phase::Doubling | Phase::Bisecting | Phase::Confirming => Passed,
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
        for wanted in [Phase::Doubling, Phase::Bisecting, Phase::Confirming] {
            let step = |load: usize, phase| match load {
                _ if phase == wanted => Interrupted,
                ..=11 => Passed,
                12.. => Failed,
            };
            assert_eq!(search(100, step).1, SearchEnd::Interrupted, "{wanted:?}");
        }
    }
}
