//! [`Window`]: the difference of two snapshots.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    counts::AHEAD,
    delta::{Delta, Entry},
    histogram::{HistogramView, HistogramWindow},
    meta::SeriesMeta,
    series::{Cell, Facts, Index, Series},
};
use crate::names::Kind;

/// About how many series have their extremes looked for together: so long does the list of them get.
const TOGETHER: usize = 1024;

/// One series in a window.
#[derive(Clone, Debug)]
enum SeriesWindow {
    Counter {
        before: f64,
        after: f64,
        /// When it was first read, of a counter that had counted before.
        joined: Option<Instant>,
    },
    Gauge(f64),
    Histogram(Box<HistogramWindow>),
}

/// The observations between two instants: the difference of two snapshots.
///
/// A window slides by adding the newest difference and subtracting the oldest, so the cost of a tick does not depend on
/// its length.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    start: Instant,
    end: Instant,
    index: Index,
    series: Vec<Option<SeriesWindow>>,
}

impl Window {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, end: start, index: Index::default(), series: Vec::new() }
    }

    /// Returns a window without observations but with this one's gauges: a gauge keeps its value over a clear.
    pub(super) fn emptied(&self, start: Instant) -> Self {
        let gauges = |series: &Option<SeriesWindow>| match series {
            Some(SeriesWindow::Gauge(value)) => Some(SeriesWindow::Gauge(*value)),
            _ => None,
        };
        Self { start, end: start, index: self.index.clone(), series: self.series.iter().map(gauges).collect() }
    }

    /// Returns how long it lasts: less than its nominal length just after the start or a clear.
    pub(crate) fn span(&self) -> Duration {
        self.end.saturating_duration_since(self.start)
    }

    /// Returns where it starts.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// Returns where it ends.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// Returns the series of the metric `name` that have a value.
    pub(crate) fn series<'a>(&'a self, name: &str) -> impl Iterator<Item = SeriesView<'a>> + use<'a> {
        // Copied, so that the iterator need not borrow `name`.
        let places: Vec<u32> = self.index.named(name).to_vec();
        places.into_iter().filter_map(|place| {
            let value = self.series.get(place as usize)?.as_ref()?;
            let meta = &self.index.series[place as usize].meta;
            Some(SeriesView { meta, value, place, facts: self.index.facts(place) })
        })
    }

    /// Returns how many endpoints there are in the labels of series: the numbers of [`SeriesView::endpoint`] are below it.
    pub(crate) fn endpoint_count(&self) -> usize {
        self.index.endpoint_count()
    }

    /// Returns when the histogram at `place` had its first and its last observation, to the precision of a tick. Meant
    /// for the window since the start: a sliding window only knows the time since it was last empty.
    pub(crate) fn seen(&self, place: u32) -> Option<(Instant, Instant)> {
        match self.series.get(place as usize)?.as_ref()? {
            SeriesWindow::Histogram(histogram) => histogram.seen,
            SeriesWindow::Counter { .. } | SeriesWindow::Gauge(_) => None,
        }
    }

    /// Returns the series that existed when it ended.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Adds the newest difference.
    pub(super) fn add(&mut self, delta: &Delta, index: &Index) {
        self.end = delta.end;
        if index.is_newer_than(&self.index) {
            self.index = index.clone();
            self.series.resize_with(index.series.len().max(self.series.len()), || None);
        }
        for entries in delta.entries.chunks(AHEAD) {
            self.read_ahead(entries);
            for entry in entries {
                let place = entry.series as usize;
                match &mut self.series[place] {
                    // Not by the series, which is elsewhere in memory: every tick changes every window of thousands of them.
                    Some(SeriesWindow::Gauge(value)) => *value = entry.after,
                    Some(SeriesWindow::Counter { after, .. }) => *after = entry.after,
                    Some(SeriesWindow::Histogram(histogram)) => add_entry(histogram, delta, entry),
                    new @ None => *new = Some(first_value(&self.index.series[place], delta, entry)),
                }
            }
        }
    }

    /// Reads the histograms that a tick is about to change.
    fn read_ahead(&self, entries: &[Entry]) {
        for entry in entries {
            if let Some(SeriesWindow::Histogram(histogram)) = &self.series[entry.series as usize] {
                histogram.buckets.read_ahead();
            }
        }
    }

    /// Subtracts the oldest difference; `left` are those that stay.
    pub(super) fn subtract<'a>(&mut self, delta: &Delta, left: impl Iterator<Item = &'a Delta> + Clone) {
        self.start = delta.end;
        let mut lost = Vec::new();
        for (chunk, entries) in delta.entries.chunks(AHEAD).enumerate() {
            self.read_ahead(entries);
            for (place, entry) in (chunk * AHEAD..).zip(entries) {
                match &mut self.series[entry.series as usize] {
                    Some(SeriesWindow::Counter { before, .. }) => *before = entry.after,
                    Some(SeriesWindow::Histogram(histogram)) => {
                        for (bucket, count) in delta.buckets(entry) {
                            let left = histogram.buckets.get_mut(bucket);
                            *left = left.saturating_sub(count);
                            histogram.count -= u64::from(count);
                        }
                        histogram.sum_before = entry.after;
                        // A search through the ring is needed only if this difference held an extreme of the window.
                        let (has_min, has_max) = (entry.min <= histogram.min, entry.max >= histogram.max);
                        if has_min || has_max {
                            lost.push(Extremes::new(entry, place, has_min, has_max));
                        }
                    }
                    Some(SeriesWindow::Gauge(_)) | None => {}
                }
            }
            if lost.len() >= TOGETHER {
                self.find_extremes(&mut lost, left.clone());
            }
        }
        self.find_extremes(&mut lost, left);
    }

    /// Finds the extremes of the series that lost theirs, and empties the list. Goes through the differences in the outer loop: when a
    /// moment that was slow for every series leaves the window, the part of each difference that has these series is then read once,
    /// from beginning to end.
    fn find_extremes<'a>(&mut self, lost: &mut Vec<Extremes>, left: impl Iterator<Item = &'a Delta>) {
        for delta in left {
            // Where about the same series change all the time, a series is a few places further in one difference than in
            // another, and the next series is as many further.
            let mut shift = 0;
            for extremes in &mut *lost {
                let near = extremes.place.saturating_add_signed(shift);
                if let Some((place, entry)) = delta.entry_near(extremes.series, near) {
                    shift = place as isize - extremes.place as isize;
                    extremes.min = extremes.min.min(entry.min);
                    extremes.max = extremes.max.max(entry.max);
                }
            }
            lost.retain(|extremes| {
                let is_found = extremes.is_found();
                if is_found {
                    self.set_extremes(extremes);
                }
                !is_found
            });
        }
        lost.drain(..).for_each(|extremes| self.set_extremes(&extremes));
    }

    fn set_extremes(&mut self, found: &Extremes) {
        if let Some(SeriesWindow::Histogram(histogram)) = &mut self.series[found.series as usize] {
            let Extremes { min, max, lost_min, lost_max, .. } = found;
            histogram.min = if lost_min.is_some() { *min } else { histogram.min };
            histogram.max = if lost_max.is_some() { *max } else { histogram.max };
        }
    }

    /// Forgets the values of series that will be removed.
    pub(super) fn forget(&mut self, places: &[u32]) {
        for place in places {
            if let Some(series) = self.series.get_mut(*place as usize) {
                *series = None;
            }
        }
    }

    /// Returns the heap bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let series = self.series.iter().flatten().map(|series| match series {
            SeriesWindow::Histogram(histogram) => size_of::<HistogramWindow>() + histogram.buckets.bytes(),
            SeriesWindow::Counter { .. } | SeriesWindow::Gauge(_) => 0,
        });
        self.series.capacity() * size_of::<Option<SeriesWindow>>() + series.sum::<usize>()
    }
}

/// The extremes of a series, as far as they are found.
struct Extremes {
    series: u32,
    /// Index of its entry in the difference that held the old ones.
    place: usize,
    /// The old ones that are lost.
    lost_min: Option<f64>,
    lost_max: Option<f64>,
    min: f64,
    max: f64,
}

impl Extremes {
    fn new(entry: &Entry, place: usize, lost_min: bool, lost_max: bool) -> Self {
        Self {
            series: entry.series,
            place,
            lost_min: lost_min.then_some(entry.min),
            lost_max: lost_max.then_some(entry.max),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Returns whether nothing better can be found: the old ones again, as with what is always zero.
    fn is_found(&self) -> bool {
        self.lost_min.is_none_or(|lost| self.min <= lost) && self.lost_max.is_none_or(|lost| self.max >= lost)
    }
}

/// Returns the value of a series that had none in the window.
fn first_value(series: &Series, delta: &Delta, entry: &Entry) -> SeriesWindow {
    match &series.cell {
        Cell::Gauge(_) if series.meta.kind == Kind::Gauge => SeriesWindow::Gauge(entry.after),
        Cell::Gauge(_) | Cell::Counter(_) => {
            let read = if entry.after > entry.before { delta.start } else { delta.end };
            let joined = entry.has_joined().then_some(read);
            SeriesWindow::Counter { before: entry.before, after: entry.after, joined }
        }
        Cell::Histogram(cell) => {
            let mut histogram = HistogramWindow::new(cell.layout().clone(), entry.before);
            add_entry(&mut histogram, delta, entry);
            SeriesWindow::Histogram(Box::new(histogram))
        }
    }
}

fn add_entry(histogram: &mut HistogramWindow, delta: &Delta, entry: &Entry) {
    if histogram.count == 0 {
        histogram.sum_before = entry.before;
        histogram.seen = None;
    }
    let before = histogram.count;
    for (bucket, count) in delta.buckets(entry) {
        let Some(sum) = histogram.buckets.get_mut(bucket).checked_add(count) else {
            // Only the window since the start reaches 2^32 observations in a bucket: after five days at ten thousand
            // requests a second. Halving all buckets keeps the shape, which is all that quantiles read; count and sum
            // stay exact.
            histogram.buckets.values_mut().for_each(|bucket| *bucket /= 2);
            *histogram.buckets.get_mut(bucket) += count;
            histogram.count += u64::from(count);
            continue;
        };
        *histogram.buckets.get_mut(bucket) = sum;
        histogram.count += u64::from(count);
    }
    if histogram.count > before {
        histogram.seen = Some((histogram.seen.map_or(delta.end, |(first, _)| first), delta.end));
    }
    histogram.sum_after = entry.after;
    histogram.min = histogram.min.min(entry.min);
    histogram.max = histogram.max.max(entry.max);
}

/// Borrowed read access to a series of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesView<'a> {
    pub(crate) meta: &'a SeriesMeta,
    /// Its place in the index, which is the same in every window.
    pub(crate) place: u32,
    /// What its labels say.
    pub(crate) facts: Facts,
    value: &'a SeriesWindow,
}

impl<'a> SeriesView<'a> {
    /// Returns the value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&'a str> {
        self.meta.label(name)
    }

    /// Returns the names of its labels.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.meta.key.labels().map(metrics::Label::key)
    }

    /// Returns how much a counter grew; zero for a gauge or a histogram.
    pub(crate) fn increase(&self) -> f64 {
        match self.value {
            SeriesWindow::Counter { before, after, .. } => after - before,
            SeriesWindow::Gauge(_) | SeriesWindow::Histogram(_) => 0.0,
        }
    }

    /// Returns how much a counter grew each second of a window that it is part of. A counter that had counted before it
    /// was first read, inside the window, grew since then.
    pub(crate) fn rate(&self, window: &Window) -> Option<f64> {
        let joined = match self.value {
            SeriesWindow::Counter { joined, .. } => *joined,
            SeriesWindow::Gauge(_) | SeriesWindow::Histogram(_) => None,
        };
        let from = joined.map_or(window.start, |joined| joined.max(window.start));
        let seconds = window.end.saturating_duration_since(from).as_secs_f64();
        (seconds > 0.0).then(|| self.increase() / seconds)
    }

    /// Returns the latest value of a gauge.
    pub(crate) fn last(&self) -> Option<f64> {
        match self.value {
            SeriesWindow::Gauge(value) => Some(*value),
            SeriesWindow::Counter { .. } | SeriesWindow::Histogram(_) => None,
        }
    }

    /// Returns the observations of a histogram.
    pub(crate) fn histogram(&self) -> Option<HistogramView<'a>> {
        match self.value {
            SeriesWindow::Histogram(histogram) => Some(HistogramView(histogram)),
            SeriesWindow::Counter { .. } | SeriesWindow::Gauge(_) => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::layout::Layout;

    /// Returns a window of the observations `values`.
    pub(in crate::store) fn histogram_of(layout: &Arc<Layout>, values: &[f64]) -> HistogramWindow {
        let mut window = HistogramWindow::new(layout.clone(), 0.0);
        for value in values {
            *window.buckets.get_mut(layout.bucket(*value)) += 1;
            window.count += 1;
            window.sum_after += value;
            window.min = window.min.min(*value);
            window.max = window.max.max(*value);
        }
        window
    }
}
