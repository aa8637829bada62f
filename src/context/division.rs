//! [`Division`]: the time of one request, divided into parts that add up to it.
//!
//! A sweep over the beginnings and ends of what the request did. Time in which several things ran at once counts once, for
//! the first [`Part`] of them. On the stack, so that the end of a request allocates nothing.

use std::time::Duration;

use super::Part;

/// Events on a request's timeline; further ones count in the totals only. 64 of them show an N+1 beyond doubt, in 1 KiB.
pub(super) const EVENTS: usize = 64;

/// Names whose calls are counted separately per request; calls of further ones are in the totals only. 32 cover nearly every
/// handler, in 1.5 KiB.
pub(super) const USES: usize = 32;

/// The time of a request or a task, divided: disjoint parts, which never exceed its duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestTime {
    parts: [Duration; Part::COUNT],
    /// Time in which at least one query ran.
    pub(crate) queries: Duration,
}

impl RequestTime {
    pub(super) fn new(parts: [Duration; Part::COUNT], queries: Duration) -> Self {
        Self { parts, queries }
    }

    pub(crate) fn of(&self, part: Part) -> Duration {
        self.parts[part as usize]
    }

    /// Returns the time that any part covers.
    pub(crate) fn covered(&self) -> Duration {
        self.parts.iter().sum()
    }
}

/// Something that a request did or waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) part: Part,
    /// Which use of the request it belongs to; `None` of what has no name, and past the last place for uses.
    pub(super) used_as: Option<u8>,
    /// Microseconds from the start of the request.
    pub(super) from: u32,
    pub(super) to: u32,
}

/// A beginning or an end: time, whether it is a beginning, and the number of the span. Ends come first, so that what follows
/// one another never ran at once.
type Edge = (u32, bool, u8);

/// What one use of a request has to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnTime {
    /// Microseconds of its spans.
    pub(super) sum: u64,
    /// Microseconds in which nothing else of the request ran.
    pub(super) alone: u64,
    /// How many of its spans ran at once, at most.
    pub(crate) most_at_once: u8,
    running: u8,
}

/// The time of a request by part, in microseconds, as far as the timeline has it.
#[derive(Debug)]
pub(super) struct Division {
    /// Disjoint.
    pub(super) parts: [u64; Part::COUNT],
    /// Sums of the spans of each part.
    pub(super) sums: [u64; Part::COUNT],
    /// Time in which a query ran and the request was not late.
    pub(super) queries: u64,
    pub(super) uses: [OwnTime; USES],
}

impl Division {
    /// Divides the time up to `end` among at most [`EVENTS`] spans.
    pub(super) fn of(spans: impl Iterator<Item = Span>, end: u32) -> Self {
        let mut division =
            Self { parts: [0; Part::COUNT], sums: [0; Part::COUNT], queries: 0, uses: [OwnTime::default(); USES] };
        let none = Span { part: Part::Task, used_as: None, from: 0, to: 0 };
        let (mut all, mut edges, mut used) = ([none; EVENTS], [(0, false, 0); 2 * EVENTS], 0);
        for span in spans.take(EVENTS) {
            let span = Span { from: span.from.min(end), to: span.to.min(end), ..span };
            if span.from < span.to {
                let number = (used / 2) as u8;
                all[used / 2] = span;
                edges[used] = (span.from, true, number);
                edges[used + 1] = (span.to, false, number);
                used += 2;
            }
        }
        let edges = &mut edges[..used];
        edges.sort_unstable();
        division.sweep(&all, edges);
        division
    }

    fn sweep(&mut self, spans: &[Span], edges: &[Edge]) {
        let mut running = Running::default();
        let mut before = 0;
        for (at, begins, number) in edges.iter().copied() {
            self.add(&running, u64::from(at - before));
            before = at;
            let span = &spans[usize::from(number)];
            if begins {
                self.sums[span.part as usize] += u64::from(span.to - span.from);
            }
            running.turn(span, begins, &mut self.uses);
        }
    }

    /// Adds the time between two edges.
    fn add(&mut self, running: &Running, time: u64) {
        if time == 0 {
            return;
        }
        let Some(first) = running.parts.iter().position(|spans| *spans > 0) else { return };
        self.parts[first] += time;
        let is_late = running.parts[Part::Late as usize] > 0;
        if running.parts[Part::Db as usize] > 0 && !is_late {
            self.queries += time;
        }
        for used_as in &mut self.uses {
            used_as.sum += time * u64::from(used_as.running);
            // A query inside a task is alone in neither: whether the task would have ended without it is not known.
            if used_as.running > 0 && running.uses == 1 && !is_late {
                used_as.alone += time;
            }
        }
    }
}

/// What runs between two edges.
#[derive(Debug, Default)]
struct Running {
    parts: [u8; Part::COUNT],
    /// Number of different uses.
    uses: u8,
}

impl Running {
    fn turn(&mut self, span: &Span, begins: bool, uses: &mut [OwnTime]) {
        let spans = &mut self.parts[span.part as usize];
        *spans = if begins { *spans + 1 } else { *spans - 1 };
        let Some(used_as) = span.used_as.and_then(|used_as| uses.get_mut(usize::from(used_as))) else { return };
        if begins {
            self.uses += u8::from(used_as.running == 0);
            used_as.running += 1;
            used_as.most_at_once = used_as.most_at_once.max(used_as.running);
        } else {
            used_as.running -= 1;
            self.uses -= u8::from(used_as.running == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(part: Part, used_as: Option<u8>, from: u32, to: u32) -> Span {
        Span { part, used_as, from, to }
    }

    fn divide(spans: &[Span], end: u32) -> Division {
        Division::of(spans.iter().copied(), end)
    }

    #[test]
    fn time_counts_once_and_for_the_first_part() {
        let division = divide(&[span(Part::Task, Some(0), 0, 50), span(Part::Db, Some(1), 10, 30)], 100);
        assert_eq!((division.parts[Part::Db as usize], division.parts[Part::Task as usize]), (20, 30));
        let late = divide(&[span(Part::Db, Some(0), 0, 50), span(Part::Late, None, 20, 60)], 100);
        assert_eq!((late.parts[Part::Late as usize], late.parts[Part::Db as usize], late.queries), (40, 20, 20));
    }

    #[test]
    fn a_use_is_alone_where_nothing_else_runs() {
        let division = divide(
            &[
                span(Part::Db, Some(0), 0, 30),
                span(Part::Db, Some(0), 10, 40),
                span(Part::Http, Some(1), 20, 60),
                span(Part::Http, Some(1), 60, 70),
            ],
            65,
        );
        let of = |used_as: usize| division.uses[used_as];
        assert_eq!((of(0).sum, of(0).alone, of(0).most_at_once), (60, 20, 2));
        assert_eq!((of(1).sum, of(1).alone, of(1).most_at_once), (45, 25, 1), "what follows is not at once");
    }

    /// 10,000 random interleavings against a union taken second by second.
    #[test]
    fn the_parts_are_a_union_of_intervals() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..10_000 {
            let end = 1 + random(120) as u32;
            let spans: Vec<_> = (0..random(24))
                .map(|_| {
                    let from = random(130) as u32;
                    let part = Part::ALL[random(Part::COUNT as u64) as usize];
                    let used_as = part.is_named().then(|| random(4) as u8);
                    span(part, used_as, from, from + random(60) as u32)
                })
                .collect();
            let mut expected = [0; Part::COUNT];
            let mut alone = [0; 4];
            for at in 0..end {
                let here = || spans.iter().filter(|span| span.from <= at && at < span.to);
                if let Some(first) = here().map(|span| span.part as usize).min() {
                    expected[first] += 1;
                }
                let mut uses: Vec<_> = here().filter_map(|span| span.used_as).collect();
                uses.sort_unstable();
                uses.dedup();
                if let [only] = uses[..]
                    && !here().any(|span| span.part == Part::Late)
                {
                    alone[usize::from(only)] += 1;
                }
            }
            let division = divide(&spans, end);
            assert_eq!(division.parts, expected, "round {round}: {spans:?} to {end}");
            let found: Vec<_> = division.uses.iter().take(4).map(|own| own.alone).collect();
            assert_eq!(found, alone, "round {round}: {spans:?} to {end}");
            assert!(division.parts.iter().sum::<u64>() <= u64::from(end));
        }
    }
}
