//! [`MeasuredPolls`]: where the time of an endpoint's or a task's polls went.
//!
//! Only a part of the polls was measured. So the division of those that were is applied to all of their kind: to polls that
//! blocked a worker, to those that `block_in_place` moved off theirs, and to short ones, each with its own.

use super::{
    durations::{NANOS, divide},
    facts::Facts,
};
use crate::{names, rules::fact, store::SeriesView};

/// The least share of the looks at which what was seen says something: a thread that computes takes a lock now and then.
const SEEN: f64 = 0.05;

/// The measured polls of one endpoint or task in one window.
#[derive(Debug, Default)]
pub(super) struct MeasuredPolls<'a> {
    /// In the order of [`names::POLLS`].
    kinds: [Measured; names::POLLS.len()],
    /// Time of the polls inside `block_in_place`, in seconds.
    in_place: f64,
    /// What the threads of blocking polls were seen in, and how often.
    sights: Vec<(&'a str, f64)>,
}

/// Seconds of the measured polls of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    wall: f64,
    computing: f64,
    cpu_wait: f64,
}

/// The shares of a time: on a CPU, waiting for one, and neither.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PollShares {
    pub(super) computing: f64,
    pub(super) cpu_wait: f64,
    pub(super) blocked: f64,
}

impl Measured {
    /// Returns the parts of `seconds`, in seconds, if they are divided as what was measured; `None` without measured polls.
    fn parts_of(&self, seconds: f64) -> Option<PollShares> {
        // The counters are read one after the other while polls end.
        let computing = divide(self.computing, self.wall)?.min(1.0);
        let cpu_wait = divide(self.cpu_wait, self.wall)?.min(1.0 - computing);
        let blocked = 1.0 - computing - cpu_wait;
        Some(PollShares { computing: computing * seconds, cpu_wait: cpu_wait * seconds, blocked: blocked * seconds })
    }
}

impl<'a> MeasuredPolls<'a> {
    /// Adds a series of [`names::ENDPOINT_POLL_NANOS`] or of the same of a task.
    pub(super) fn add_nanos(&mut self, series: &SeriesView<'a>) {
        let seconds = series.increase() * NANOS;
        match series.facts.polls {
            Some((kind, part)) => {
                let Measured { wall, computing, cpu_wait } = &mut self.kinds[usize::from(kind)];
                *[wall, computing, cpu_wait][usize::from(part)] += seconds;
            }
            None if series.label(names::KIND) == Some(names::IN_PLACE) => self.in_place += seconds,
            None => {}
        }
    }

    /// Adds a series of [`names::ENDPOINT_POLL_SIGHTS`] or of the same of a task.
    pub(super) fn add_sights(&mut self, series: &SeriesView<'a>) {
        if let Some(kind) = series.label(names::KIND).filter(|_| series.increase() > 0.0) {
            self.sights.push((kind, series.increase()));
        }
    }

    /// Returns the parts of `busy` seconds inside poll, of which `blocking` passed in polls that blocked a worker; `None` where
    /// nothing was measured.
    pub(super) fn divide_busy(&self, busy: f64, blocking: f64) -> Option<PollShares> {
        let [short, blocking_polls, in_place_polls] = &self.kinds;
        if self.kinds.iter().all(|measured| measured.wall <= 0.0) {
            return None;
        }
        let in_place = self.in_place.min(busy);
        let blocking = blocking.min(busy - in_place);
        let rest = busy - in_place - blocking;
        // Short polls are unmeasured only where none takes a millisecond: too short to wait for anything.
        let parts = [
            short.parts_of(rest).unwrap_or(PollShares { computing: rest, ..PollShares::default() }),
            if blocking > 0.0 { blocking_polls.parts_of(blocking)? } else { PollShares::default() },
            if in_place > 0.0 { in_place_polls.parts_of(in_place)? } else { PollShares::default() },
        ];
        Some(parts.into_iter().fold(PollShares::default(), |sum, part| PollShares {
            computing: sum.computing + part.computing,
            cpu_wait: sum.cpu_wait + part.cpu_wait,
            blocked: sum.blocked + part.blocked,
        }))
    }

    /// Adds what is known to the facts of an endpoint or a task whose polls took `busy` of `seconds`, `blocking` of these in polls
    /// that blocked a worker.
    pub(super) fn add_to(&self, facts: &mut Facts, seconds: f64, busy: Option<f64>, blocking: f64) {
        let busy = busy.map(|busy| busy.min(seconds));
        if let Some(parts) = busy.and_then(|busy| self.divide_busy(busy, blocking)) {
            facts.number(fact::COMPUTING_RATIO, divide(parts.computing, seconds));
            facts.number(fact::BLOCKED_RATIO, divide(parts.blocked, seconds));
            facts.number(fact::CPU_WAIT_RATIO, divide(parts.cpu_wait, seconds));
        }
        let [_, blocking_polls, _] = &self.kinds;
        if let Some(shares) = blocking_polls.parts_of(1.0) {
            facts.number(fact::BLOCKING_COMPUTING_RATIO, Some(shares.computing));
            facts.number(fact::BLOCKING_BLOCKED_RATIO, Some(shares.blocked));
            facts.number(fact::BLOCKING_CPU_WAIT_RATIO, Some(shares.cpu_wait));
        }
        if self.in_place > 0.0 {
            facts.number(fact::IN_PLACE_RATIO, divide(self.in_place.min(seconds), seconds));
        }
        if let Some((words, ratio)) = self.blocked_in() {
            facts.word(fact::BLOCKED_IN, Some(words));
            facts.number(fact::BLOCKED_IN_RATIO, Some(ratio));
        }
    }

    /// Returns what threads were seen in most often except running, and the share of all looks that this is; `None` where that is
    /// a rare moment of threads that compute.
    fn blocked_in(&self) -> Option<(&'a str, f64)> {
        let all: f64 = self.sights.iter().map(|(_, count)| count).sum();
        let waiting = self.sights.iter().filter(|(kind, _)| *kind != names::RUNNING);
        let (kind, count) = waiting.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)))?;
        divide(*count, all).filter(|ratio| *ratio >= SEEN).map(|ratio| (*kind, ratio))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(kinds: [(f64, f64, f64); 3], in_place: f64) -> MeasuredPolls<'static> {
        let kinds = kinds.map(|(wall, computing, cpu_wait)| Measured { wall, computing, cpu_wait });
        MeasuredPolls { kinds, in_place, sights: Vec::new() }
    }

    #[track_caller]
    fn check(polls: &MeasuredPolls<'_>, busy: f64, blocking: f64, expected: Option<[f64; 3]>) {
        let parts = polls.divide_busy(busy, blocking).map(|parts| [parts.computing, parts.cpu_wait, parts.blocked]);
        match (parts, expected) {
            (Some(parts), Some(expected)) => {
                assert!(parts.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{parts:?} is not {expected:?}");
                assert!((parts.iter().sum::<f64>() - busy).abs() < 1e-9, "they add up");
            }
            (parts, expected) => assert_eq!(parts, expected),
        }
    }

    const NONE: (f64, f64, f64) = (0.0, 0.0, 0.0);

    #[test]
    fn each_kind_of_poll_is_divided_as_its_measured_ones() {
        check(&measured([NONE; 3], 0.0), 10.0, 5.0, None);
        check(&measured([NONE, (1.0, 0.2, 0.1), NONE], 0.0), 10.0, 5.0, Some([6.0, 0.5, 3.5]));
        check(&measured([(1.0, 0.5, 0.5), (1.0, 0.2, 0.1), NONE], 0.0), 10.0, 5.0, Some([3.5, 3.0, 3.5]));
        check(&measured([NONE, NONE, (2.0, 0.0, 0.0)], 4.0), 10.0, 0.0, Some([6.0, 0.0, 4.0]));
        // Of polls that were not measured nothing is said, not that they compute.
        check(&measured([(1.0, 1.0, 0.0), NONE, NONE], 0.0), 10.0, 5.0, None);
        // More blocking time than time: the counters are read one after the other.
        check(&measured([NONE, (1.0, 1.1, 0.1), NONE], 0.0), 4.0, 5.0, Some([4.0, 0.0, 0.0]));
    }

    #[test]
    fn what_a_thread_was_seen_in_is_the_most_frequent_wait() {
        let seen = |sights: &[(&'static str, f64)]| {
            MeasuredPolls { sights: sights.to_vec(), ..MeasuredPolls::default() }.blocked_in()
        };
        assert_eq!(seen(&[]), None);
        assert_eq!(seen(&[(names::RUNNING, 9.0)]), None);
        assert_eq!(seen(&[(names::RUNNING, 299.0), ("a lock", 1.0)]), None, "it computes");
        assert_eq!(seen(&[(names::RUNNING, 6.0), ("sleep", 1.0), ("a lock", 3.0)]), Some(("a lock", 0.3)));
    }
}
