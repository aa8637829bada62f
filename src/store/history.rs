//! [`History`]: the ring of differences and the windows that slide over it.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    cells::ReadMode,
    delta::{Baseline, Delta},
    series::{Cell, Index},
    window::Window,
};
use crate::names;

/// A difference may last its age divided by this: those of a window of 5 minutes are ticks of 5 s, and those of an hour
/// need not be finer than a minute. The start of a window is then off by at most a 120th of its length.
const STEPS: u32 = 60;

/// Series that are looked for one by one. More are looked up in a set of all that changed, which takes as long as a hundred of them.
const FEW: usize = 100;

/// Every series over time. Its memory is bounded: in length by the longest window, in width by the number of series.
/// Differences are merged with age, so that a day takes some hundreds of them and not the 17,280 of its ticks.
#[derive(Debug)]
pub(crate) struct History {
    baseline: Baseline,
    /// Oldest first and without gaps: each begins where the one before it ends. Each window begins where one of them
    /// does.
    ring: VecDeque<Delta>,
    windows: BTreeMap<Duration, Window>,
    /// Since the start or the last clear.
    total: Window,
}

impl History {
    /// Returns an empty history whose windows have the given `lengths`.
    pub(crate) fn new(now: Instant, lengths: impl IntoIterator<Item = Duration>) -> Self {
        let mut history = Self {
            baseline: Baseline::new(now),
            ring: VecDeque::new(),
            windows: BTreeMap::new(),
            total: Window::new(now),
        };
        history.set_windows(lengths);
        history
    }

    /// Changes which windows slide. New ones are filled from what the ring still holds.
    pub(crate) fn set_windows(&mut self, lengths: impl IntoIterator<Item = Duration>) {
        let mut windows = BTreeMap::new();
        for length in lengths {
            let kept = self.windows.remove(&length);
            windows.insert(length, kept.unwrap_or_else(|| self.build(self.total.end(), length)));
        }
        self.windows = windows;
        self.trim();
    }

    /// Reads the cells: the newest difference enters the windows, the oldest leave them.
    pub(crate) fn tick(&mut self, index: &Index, now: Instant) {
        let delta = self.baseline.difference(index, now, ReadMode::Take);
        self.total.add(&delta, index);
        for window in self.windows.values_mut() {
            window.add(&delta, index);
        }
        self.ring.push_back(delta);
        // The newest one stays in every window: a window shorter than a tick would always be empty otherwise.
        let newest = self.ring.len() - 1;
        for (length, window) in &mut self.windows {
            let mut place = self.ring.partition_point(|delta| delta.start < window.start());
            while place < newest
                && let Some(oldest) = self.ring.get(place).filter(|oldest| !inside(oldest, now, *length))
            {
                place += 1;
                window.subtract(oldest, self.ring.range(place..));
            }
        }
        self.trim();
        self.coarsen(now);
    }

    /// Returns the window of a length as of the last tick; `None` if no window of that length slides.
    pub(crate) fn window(&self, length: Duration) -> Option<&Window> {
        self.windows.get(&length)
    }

    /// Returns everything since the start or the last clear, as of the last tick.
    pub(crate) fn total(&self) -> &Window {
        &self.total
    }

    /// Returns the window that ends now, with the observations since the last tick. Changes nothing.
    pub(crate) fn window_now(&mut self, index: &Index, now: Instant, length: Duration) -> Window {
        let mut window = match self.windows.get(&length) {
            Some(window) => window.clone(),
            None => self.build(now, length),
        };
        window.add(&self.baseline.difference(index, now, ReadMode::Peek), index);
        window
    }

    /// Returns everything since the start or the last clear, with the observations since the last tick. Changes
    /// nothing.
    pub(crate) fn total_now(&mut self, index: &Index, now: Instant) -> Window {
        let mut total = self.total.clone();
        total.add(&self.baseline.difference(index, now, ReadMode::Peek), index);
        total
    }

    /// Returns how many observations the histograms called `name` had since the start or the last clear, as of the last tick.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.total.series(name).filter_map(|series| series.histogram()).map(|view| view.count()).sum()
    }

    /// Returns how many observations the histograms called `histogram` had, and how much the counters called `counter` grew, since
    /// the start or the last clear and up to now. Changes nothing, and copies no window: a page asks for it every few seconds.
    pub(crate) fn counts_now(&mut self, index: &Index, now: Instant, histogram: &str, counter: &str) -> (u64, f64) {
        let latest = self.baseline.difference(index, now, ReadMode::Peek);
        let counters = index.named(counter).iter().filter_map(|place| latest.entry(*place));
        let grown: f64 = counters.map(|entry| entry.after - entry.before).sum();
        let before: f64 = self.total.series(counter).map(|series| series.increase()).sum();
        (self.count(histogram) + observed(&latest, index, histogram), before + grown)
    }

    /// Returns the value of a gauge without labels at the last tick.
    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        self.total.series(name).find_map(|series| series.last())
    }

    /// Returns how many observations the histograms called `name` had in the last tick.
    pub(crate) fn latest_count(&self, name: &str) -> u64 {
        self.latest().map_or(0, |(latest, index)| observed(latest, index, name))
    }

    /// Returns the last tick's difference, and the series that existed then.
    pub(super) fn latest(&self) -> Option<(&Delta, &Index)> {
        Some((self.ring.back()?, self.total.index()))
    }

    /// Empties all windows. It reads the cells as a tick does and drops the difference; the cells, and with them every
    /// counter on `/metrics`, keep their values.
    pub(crate) fn clear(&mut self, index: &Index, now: Instant) {
        let gone = self.baseline.difference(index, now, ReadMode::Take);
        self.total.add(&gone, index);
        self.ring.clear();
        self.total = self.total.emptied(now);
        self.windows.values_mut().for_each(|window| *window = self.total.clone());
    }

    /// Returns those of the `places` whose series changed in no window.
    pub(super) fn unchanged(&self, places: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut left: Vec<u32> = places.into_iter().collect();
        if left.len() > FEW {
            let entries = self.ring.iter().flat_map(|delta| delta.entries.iter());
            let changed: HashSet<u32> = entries.map(|entry| entry.series).collect();
            left.retain(|place| !changed.contains(place));
            return left;
        }
        for delta in self.ring.iter().rev() {
            left.retain(|place| delta.entry(*place).is_none());
        }
        left
    }

    /// Returns whether the last tick has read all of a series.
    pub(super) fn has_read(&self, place: u32, cell: &Cell) -> bool {
        self.baseline.has_read(place, cell)
    }

    /// Forgets series that will be removed, so that others can take their places. The window since the start forgets
    /// them too.
    pub(super) fn forget(&mut self, places: &[u32]) {
        self.baseline.forget(places);
        self.total.forget(places);
        self.windows.values_mut().for_each(|window| window.forget(places));
    }

    /// Returns about how many heap bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.baseline.bytes()
            + self.ring.iter().map(Delta::bytes).sum::<usize>()
            + self.windows.values().map(Window::bytes).sum::<usize>()
            + self.total.bytes()
    }

    /// Builds the window of a length that ends now from what the ring holds.
    fn build(&self, now: Instant, length: Duration) -> Window {
        let older = self.ring.iter().take(self.ring.len().saturating_sub(1));
        let outside = older.take_while(|delta| !inside(delta, now, length)).count();
        let start = self.ring.get(outside).map_or(self.total.end(), |delta| delta.start);
        let mut window = self.total.emptied(start);
        let index = self.total.index().clone();
        for delta in self.ring.range(outside..) {
            window.add(delta, &index);
        }
        window
    }

    /// Drops the differences that are in no window.
    fn trim(&mut self) {
        let needed = self.windows.values().map(Window::start).min();
        while self.ring.front().is_some_and(|oldest| needed.is_none_or(|needed| oldest.start < needed)) {
            self.ring.pop_front();
        }
    }

    /// Merges neighbours that together are still a sixtieth of their age or less, unless a window begins between them.
    /// Nothing younger than [`names::DEFAULT_WINDOW`] is merged: every monitor has that window, and it slides by the
    /// tick.
    fn coarsen(&mut self, now: Instant) {
        let starts: Vec<Instant> = self.windows.values().map(Window::start).collect();
        let mut place = 0;
        while let (Some(old), Some(next)) = (self.ring.get(place), self.ring.get(place + 1)) {
            let age = now.saturating_duration_since(next.end);
            if age < names::DEFAULT_WINDOW {
                break;
            }
            if (next.end - old.start) * STEPS <= age && !starts.contains(&next.start) {
                self.ring[place] = old.followed_by(next);
                self.ring.remove(place + 1);
            } else {
                place += 1;
            }
        }
    }
}

/// Returns how many observations the histograms called `name` have in a difference.
fn observed(delta: &Delta, index: &Index, name: &str) -> u64 {
    let entries = index.named(name).iter().filter_map(|place| delta.entry(*place));
    entries.flat_map(|entry| delta.buckets(entry)).map(|(_, count)| u64::from(count)).sum()
}

/// Returns whether at least half of a difference lies in the window. Ticks come a little early or late; if a difference
/// had to lie in it whole, a window would often be one tick too short.
fn inside(delta: &Delta, now: Instant, length: Duration) -> bool {
    let middle = delta.start + (delta.end - delta.start) / 2;
    now.saturating_duration_since(middle) <= length
}

#[cfg(test)]
mod tests {
    use metrics::Recorder as _;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        context::labelled,
        store::{MonitorRecorder, Quantile},
    };

    const TICK: Duration = Duration::from_secs(5);
    const LENGTH: Duration = Duration::from_secs(20);

    fn statistics(window: &Window) -> (u64, f64, Option<f64>, Option<f64>, Option<f64>) {
        let view = window.series(names::HTTP_DURATION.name).next().and_then(|series| series.histogram());
        let median = Quantile::new(0.5).expect("a share");
        view.map_or((0, 0.0, None, None, None), |h| (h.count(), h.sum(), h.min(), h.max(), h.quantile(median)))
    }

    #[test]
    fn clear_empties_the_windows_and_leaves_the_cells() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH]);
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
        let gauge = labelled::gauge(&recorder, &names::PROCESS_RESIDENT, &[]);
        histogram.record(1.0);
        gauge.set(7.0);
        history.tick(&recorder.index(), start + TICK);
        histogram.record(2.0);
        history.clear(&recorder.index(), start + TICK + TICK / 2);
        histogram.record(3.0);
        let now = start + TICK * 2;
        let counts = history.counts_now(&recorder.index(), now, names::HTTP_DURATION.name, names::SERIES_DROPPED.name);
        assert_eq!(counts, (1, 0.0));
        for window in [history.total_now(&recorder.index(), now), history.window_now(&recorder.index(), now, LENGTH)] {
            assert_eq!(statistics(&window), (1, 3.0, Some(3.0), Some(3.0), Some(3.0)));
            assert_eq!(window.series(names::PROCESS_RESIDENT.name).next().and_then(|gauge| gauge.last()), Some(7.0));
            assert_eq!(window.span(), TICK / 2);
        }
        assert!(recorder.render().contains("http_server_request_duration_seconds_count 3"));
    }

    #[test]
    fn a_window_up_to_now_changes_nothing() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH]);
        labelled::histogram(&recorder, &names::HTTP_DURATION, &[]).record(1.0);
        let looks: Vec<_> =
            (1..4).map(|at| statistics(&history.total_now(&recorder.index(), start + TICK / 4 * at))).collect();
        assert_eq!(looks, [(1, 1.0, Some(1.0), Some(1.0), Some(1.0)); 3]);
    }

    #[test]
    fn a_read_with_an_older_index_keeps_the_baseline_of_newer_series() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH]);
        let old = recorder.index();
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
        histogram.record(1.0);
        history.tick(&recorder.index(), start + TICK);
        assert_eq!(statistics(&history.total_now(&old, start + TICK)).0, 1);
        assert_eq!(statistics(&history.window_now(&old, start + TICK, LENGTH)).0, 1);
        histogram.record(2.0);
        history.tick(&recorder.index(), start + TICK * 2);
        assert_eq!(statistics(history.total()), (2, 3.0, Some(1.0), Some(2.0), Some(1.0)));
    }

    #[test]
    fn a_counter_that_existed_before_the_window_counts_from_its_value_there() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH]);
        let counter =
            recorder.register_counter(&"hits".into(), &metrics::Metadata::new("", metrics::Level::INFO, None));
        for tick in 1..=10 {
            counter.increment(tick);
            history.tick(&recorder.index(), start + TICK * u32::try_from(tick).expect("small"));
        }
        let window = history.window(LENGTH).expect("kept up to date");
        assert_eq!(window.series("hits").next().map(|series| series.increase()), Some(7.0 + 8.0 + 9.0 + 10.0));
        assert_eq!(window.span(), LENGTH);
    }

    #[test]
    fn a_total_of_seconds_grows_in_a_window() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH]);
        let busy = labelled::gauge(&recorder, &names::PROCESS_CPU, &[]);
        for tick in 0..10 {
            busy.set(100.0 + f64::from(tick));
            history.tick(&recorder.index(), start + TICK * (tick + 1));
        }
        let window = history.window(LENGTH).expect("kept up to date");
        assert_eq!(window.series(names::PROCESS_CPU.name).next().map(|series| series.increase()), Some(4.0));
        let total = history.total_now(&recorder.index(), start + TICK * 10);
        // The process used the first 100 s before the monitor first read it.
        assert_eq!(total.series(names::PROCESS_CPU.name).next().map(|series| series.increase()), Some(9.0));
    }

    #[test]
    fn the_total_knows_the_first_and_last_observation_of_a_series() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH]);
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
        for tick in 1..=20 {
            if [3, 15].contains(&tick) {
                histogram.record(1.0);
            }
            history.tick(&recorder.index(), start + TICK * tick);
        }
        let seen = |history: &History| {
            let place = history.window(LENGTH)?.series(names::HTTP_DURATION.name).next()?.place;
            history.total().seen(place)
        };
        assert_eq!(seen(&history), Some((start + TICK * 3, start + TICK * 15)));
        history.clear(&recorder.index(), start + TICK * 21);
        histogram.record(1.0);
        history.tick(&recorder.index(), start + TICK * 22);
        assert_eq!(seen(&history), Some((start + TICK * 22, start + TICK * 22)), "the past is cleared");
    }

    #[test]
    fn a_new_window_is_filled_from_the_ring() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH]);
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
        for tick in 1..=6 {
            histogram.record(f64::from(tick));
            history.tick(&recorder.index(), start + TICK * tick);
        }
        history.set_windows([LENGTH, LENGTH / 2]);
        assert_eq!(statistics(history.window(LENGTH / 2).expect("kept")).0, 2);
        assert_eq!(statistics(&history.window_now(&recorder.index(), start + TICK * 6, LENGTH / 4)).0, 1);
    }

    #[test]
    fn a_window_shorter_than_a_tick_holds_the_newest_one() {
        let short = TICK / 5;
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH, short]);
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
        for tick in 1..=4 {
            histogram.record(f64::from(tick));
            history.tick(&recorder.index(), start + TICK * tick);
            let window = history.window(short).expect("kept up to date");
            assert_eq!((statistics(window).0, statistics(window).2), (1, Some(f64::from(tick))));
            assert_eq!(window.span(), TICK);
        }
        history.set_windows([LENGTH, TICK / 10]);
        assert_eq!(statistics(history.window(TICK / 10).expect("kept")).2, Some(4.0));
    }

    #[test]
    fn a_long_window_is_exact_though_its_differences_are_merged() {
        let hour = Duration::from_secs(3600);
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let mut history = History::new(start, [LENGTH, hour]);
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
        for tick in 1..=2000_u32 {
            // The longest observation of all is in the first tick, the next longest come every hundred.
            histogram.record(if tick == 1 { 60.0 } else { f64::from(tick % 100 + 1) / 10.0 });
            history.tick(&recorder.index(), start + TICK * tick);
            let window = history.window(hour).expect("kept up to date");
            let expected = (TICK * tick).min(hour);
            assert!(window.span().abs_diff(expected) * 2 <= hour / STEPS, "{:?} at tick {tick}", window.span());
            // A window of whole ticks, each with one observation.
            let ticks = window.span().as_secs() / TICK.as_secs();
            let values: Vec<f64> = (u64::from(tick) - ticks + 1..=u64::from(tick))
                .map(|tick| if tick == 1 { 60.0 } else { (tick % 100 + 1) as f64 / 10.0 })
                .collect();
            let (count, sum, min, max, _) = statistics(window);
            assert_eq!(
                (count, min, max),
                (ticks, values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max))
            );
            assert!((sum - values.iter().sum::<f64>()).abs() < 1e-6);
            assert_eq!(statistics(history.window(LENGTH).expect("kept up to date")).0, u64::from(tick.min(4)));
        }
        assert!((150..300).contains(&history.ring.len()), "{}", history.ring.len());
    }

    proptest! {
        /// The sliding window equals one computed from all observations, tick by tick.
        #[test]
        fn a_sliding_window_equals_a_list_of_its_observations(
            ticks in prop::collection::vec(prop::collection::vec(1e-4..50.0_f64, 0..4), 1..25)
        ) {
            let recorder = MonitorRecorder::new(100, Vec::new());
            let start = Instant::now();
            let mut history = History::new(start, [LENGTH]);
            let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
            let mut now = start;
            for (at, values) in ticks.iter().enumerate() {
                values.iter().for_each(|value| histogram.record(*value));
                now += TICK;
                history.tick(&recorder.index(), now);
                let expected: Vec<f64> = ticks[(at + 1).saturating_sub(4)..=at].concat();
                let (count, sum, min, max, _) = statistics(history.window(LENGTH).expect("kept up to date"));
                prop_assert_eq!(count, expected.len() as u64);
                prop_assert!((sum - expected.iter().sum::<f64>()).abs() < 1e-9);
                prop_assert_eq!(min, expected.iter().copied().reduce(f64::min));
                prop_assert_eq!(max, expected.iter().copied().reduce(f64::max));
            }
            prop_assert!(history.ring.len() <= 4);
        }
    }
}
