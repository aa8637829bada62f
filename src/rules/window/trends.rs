//! [`TrendReport`]: what the slots of some hours say about the service and its endpoints.
//!
//! Cuts the time into buckets, sums each from mergeable slots and leaves the judgement to `trend`. Response time over all
//! endpoints is judged at a constant mix of the traffic, so that more calls of a slow endpoint are no slowdown; the mean
//! as it came is judged beside it. The invariant that a change could break: what one answer tells of endpoints is one
//! family of tests, corrected as such.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    analysis::{Cell, Direction, Measure, MixedMean, Point, Trend, bucket_width, standardise},
    store::{GridSum, NO_ENDPOINT, Run, Tiers, TimedSlot},
};

/// Endpoints that are judged: those that take most time. What is beyond them takes next to none.
const JUDGED: usize = 200;
/// Endpoints that a report shows.
const SHOWN: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);
/// Share of a bucket in which requests must have been measured for its throughput to be told: traffic comes in bursts,
/// and a rate over a few seconds says little of half an hour.
const ENOUGH_OF_A_BUCKET: f64 = 0.5;

/// What a report is made from, taken out of the tiers so that it can be made elsewhere.
#[derive(Debug)]
pub(crate) struct TrendSource {
    from: Duration,
    to: Duration,
    slots: Vec<TimedSlot>,
    names: BTreeMap<u32, Arc<str>>,
    runs: Vec<Run>,
}

impl TrendSource {
    /// Takes the full minutes of the last `length` before `now` on the wall clock.
    pub(crate) fn of(tiers: &Tiers, now: Duration, length: Duration) -> Self {
        let to = Duration::from_secs(now.as_secs() / MINUTE.as_secs() * MINUTE.as_secs());
        let from = to.saturating_sub(length);
        Self {
            from,
            to,
            slots: tiers.slots(from, to),
            names: tiers.endpoints().iter().map(|(number, name)| (number, name.clone())).collect(),
            runs: tiers.runs().iter().filter(|run| run.started >= from).cloned().collect(),
        }
    }
}

/// One judged series.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) trend: Trend,
    /// Value of each bucket; `None` where there was nothing to measure.
    pub(crate) series: Vec<Option<f64>>,
}

impl Judged {
    /// Takes back a change of the response time that failed requests may explain, whose durations are in it: an outage in
    /// which every other request fails at once makes nothing faster, and its end nothing slower.
    ///
    /// The slots do not say how long those took that were served; but no longer than all took together. Unless that
    /// bound, by request that was served, changes in the same way, it is not known that they got faster or slower.
    fn unless_failures_explain(mut self, per_served: impl FnOnce() -> Self) -> Self {
        let direction = self.trend.direction();
        let changes = matches!(direction, Direction::Improving | Direction::Degrading);
        if changes && per_served().trend.direction() != direction {
            self.trend.withhold();
        }
        self
    }
}

/// The trends of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct EndpointTrends {
    pub(crate) name: Arc<str>,
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) response_time: Judged,
    /// 95th percentile of each bucket, in seconds.
    pub(crate) p95: Vec<Option<f64>>,
    pub(crate) error_rate: Judged,
    pub(crate) throughput: Judged,
}

/// The trends of a service. Times are on the wall clock, since the Unix epoch.
#[derive(Clone, Debug)]
pub(crate) struct TrendReport {
    /// What was asked for.
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// Length of a bucket.
    pub(crate) width: Duration,
    /// Where each bucket starts, oldest first. They cover no more than there are data of.
    pub(crate) starts: Vec<Duration>,
    pub(crate) requests: u64,
    /// At a constant mix of the traffic. Failed requests are in it, but make no change of it.
    pub(crate) response_time: Judged,
    /// As the requests came.
    pub(crate) crude_response_time: Judged,
    pub(crate) p95: Vec<Option<f64>>,
    /// At a constant mix of the traffic.
    pub(crate) error_rate: Judged,
    /// As the requests came.
    pub(crate) crude_error_rate: Judged,
    pub(crate) throughput: Judged,
    pub(crate) memory: Judged,
    /// Those that change for the worse first, then by the time they take.
    pub(crate) endpoints: Vec<EndpointTrends>,
    /// How many endpoints there are in all.
    pub(crate) endpoint_count: usize,
    /// Starts of the service in that time.
    pub(crate) runs: Vec<Run>,
}

impl TrendReport {
    /// Judges what `source` holds; of the endpoints those that `wanted` accepts.
    pub(crate) fn of(source: TrendSource, wanted: impl Fn(&str) -> bool) -> Self {
        let buckets = Buckets::cut(&source);
        let mut totals = vec![Total::default(); buckets.count];
        let mut endpoints: BTreeMap<u32, Vec<Sums>> = BTreeMap::new();
        for (bucket, slot) in buckets.place(&source.slots) {
            totals[bucket].add(slot);
            for entry in slot.slot.endpoints() {
                let sums = endpoints.entry(entry.endpoint).or_insert_with(|| vec![Sums::default(); buckets.count]);
                sums[bucket].add(entry.count, entry.errors, entry.seconds);
            }
        }
        let mixed = |cell: fn(&Sums) -> Cell| {
            let cells: Vec<Vec<Cell>> = endpoints.values().map(|sums| sums.iter().map(cell).collect()).collect();
            standardise(buckets.count, cells.iter().map(Vec::as_slice))
        };
        let (times, errors) = (mixed(Sums::time_cell), mixed(Sums::error_cell));
        let standardised = |mixed: Option<MixedMean>| mixed.map(|mixed| (mixed.standardised, mixed.count as f64));
        let overall = |measure, value: &dyn Fn(usize) -> Option<(f64, f64)>| buckets.judge(measure, value);
        let response_time =
            overall(Measure::ResponseTime, &|at| standardised(times[at])).unless_failures_explain(|| {
                let served = mixed(Sums::served_cell);
                overall(Measure::ResponseTime, &|at| standardised(served[at]))
            });
        let crude_response_time = overall(Measure::ResponseTime, &|at| totals[at].sums.mean())
            .unless_failures_explain(|| overall(Measure::ResponseTime, &|at| totals[at].sums.per_served()));
        let measured: Vec<Option<f64>> = totals.iter().map(|total| total.measured(buckets.width)).collect();
        let names = &source.names;
        let named = |number: &u32| names.get(number).filter(|name| &***name != NO_ENDPOINT);
        let found: Vec<_> =
            endpoints.iter().filter_map(|(number, sums)| Some((*number, named(number)?.clone(), sums))).collect();
        let endpoint_count = found.len();
        let found = found.into_iter().filter(|(_, name, _)| wanted(name)).collect();
        Self {
            from: source.from,
            to: source.to,
            width: buckets.width,
            starts: buckets.starts(),
            requests: totals.iter().map(|total| total.sums.count).sum(),
            response_time,
            crude_response_time,
            p95: totals.iter().map(|total| total.grid.quantile(0.95)).collect(),
            error_rate: overall(Measure::ErrorRate, &|at| standardised(errors[at])),
            crude_error_rate: overall(Measure::ErrorRate, &|at| totals[at].sums.error_rate()),
            throughput: overall(Measure::Throughput, &|at| totals[at].sums.rate(measured[at])),
            memory: overall(Measure::Memory, &|at| totals[at].memory()),
            endpoints: judge_endpoints(&source.slots, &buckets, &measured, found),
            endpoint_count,
            runs: source.runs,
        }
    }
}

/// Judges the endpoints that take most time and returns those to show.
fn judge_endpoints(
    slots: &[TimedSlot],
    buckets: &Buckets,
    measured: &[Option<f64>],
    mut found: Vec<(u32, Arc<str>, &Vec<Sums>)>,
) -> Vec<EndpointTrends> {
    let seconds = |sums: &[Sums]| sums.iter().map(|sums| sums.seconds).sum::<f64>();
    found.sort_by(|(.., a), (.., b)| seconds(b).total_cmp(&seconds(a)));
    found.truncate(JUDGED);
    let mut judged: Vec<(u32, EndpointTrends)> = found
        .into_iter()
        .map(|(number, name, sums)| {
            let trends = EndpointTrends {
                name,
                requests: sums.iter().map(|sums| sums.count).sum(),
                seconds: seconds(sums),
                response_time: buckets
                    .judge(Measure::ResponseTime, &|at| sums[at].mean())
                    .unless_failures_explain(|| buckets.judge(Measure::ResponseTime, &|at| sums[at].per_served())),
                p95: Vec::new(),
                error_rate: buckets.judge(Measure::ErrorRate, &|at| sums[at].error_rate()),
                throughput: buckets.judge(Measure::Throughput, &|at| sums[at].rate(measured[at])),
            };
            (number, trends)
        })
        .collect();
    Trend::adjust_for_many(judged.iter_mut().flat_map(|(_, endpoint)| {
        [&mut endpoint.response_time, &mut endpoint.error_rate, &mut endpoint.throughput]
            .map(|judged| &mut judged.trend)
    }));
    judged.sort_by_key(|(_, endpoint)| Reverse(endpoint.gets_worse()));
    judged.truncate(SHOWN);
    let mut grids: BTreeMap<u32, Vec<GridSum>> =
        judged.iter().map(|(number, _)| (*number, vec![GridSum::default(); buckets.count])).collect();
    for (bucket, slot) in buckets.place(slots) {
        for entry in slot.slot.endpoints() {
            if let Some(grid) = grids.get_mut(&entry.endpoint) {
                grid[bucket].add(&entry);
            }
        }
    }
    let p95 = |number: u32| grids[&number].iter().map(|grid| grid.quantile(0.95)).collect();
    judged.into_iter().map(|(number, endpoint)| EndpointTrends { p95: p95(number), ..endpoint }).collect()
}

impl EndpointTrends {
    fn gets_worse(&self) -> bool {
        [&self.response_time, &self.error_rate].iter().any(|judged| judged.trend.direction() == Direction::Degrading)
    }
}

/// The time that is looked at, cut into pieces of one length that end where it ends.
struct Buckets {
    end: Duration,
    width: Duration,
    count: usize,
}

impl Buckets {
    fn cut(source: &TrendSource) -> Self {
        let start = source.slots.first().map_or(source.to, |slot| slot.start.max(source.from));
        let resolution = source.slots.iter().map(|slot| slot.length).max().unwrap_or(MINUTE);
        let span = source.to.saturating_sub(start);
        let width = bucket_width(span, resolution);
        let count = span.as_secs().div_ceil(width.as_secs().max(1));
        Self { end: source.to, width, count: usize::try_from(count).unwrap_or(0) }
    }

    fn starts(&self) -> Vec<Duration> {
        (0..self.count).map(|at| self.start(at)).collect()
    }

    fn start(&self, at: usize) -> Duration {
        let after = u32::try_from(self.count - at).unwrap_or(u32::MAX);
        self.end.saturating_sub(self.width * after)
    }

    /// Returns each slot with the bucket in which its middle lies.
    fn place<'a>(&self, slots: &'a [TimedSlot]) -> impl Iterator<Item = (usize, &'a TimedSlot)> {
        slots.iter().filter_map(|slot| {
            let before_end = self.end.checked_sub(slot.start + slot.length / 2)?;
            let back = (before_end.as_nanos() / self.width.as_nanos().max(1)) as usize;
            Some((self.count.checked_sub(back + 1)?, slot))
        })
    }

    /// Judges a measure, given its value and weight in each bucket.
    fn judge(&self, measure: Measure, value: &dyn Fn(usize) -> Option<(f64, f64)>) -> Judged {
        let values: Vec<Option<(f64, f64)>> = (0..self.count).map(value).collect();
        let points: Vec<Point> = (0..self.count)
            .zip(&values)
            .filter_map(|(at, value)| {
                let (value, weight) = (*value)?;
                let at_seconds = (self.start(at) + self.width / 2).as_secs_f64();
                Some(Point { at_seconds, value, weight })
            })
            .collect();
        let series = values.into_iter().map(|value| Some(value?.0)).collect();
        Judged { trend: Trend::of(measure, &points), series }
    }
}

/// The requests of a bucket, of all or of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: u64,
    errors: u64,
    seconds: f64,
}

impl Sums {
    fn add(&mut self, count: u64, errors: u64, seconds: f64) {
        self.count += count;
        self.errors += errors;
        self.seconds += seconds;
    }

    fn time_cell(&self) -> Cell {
        Cell { count: self.count, sum: self.seconds }
    }

    /// Everything's time, by the requests that did not fail.
    fn served_cell(&self) -> Cell {
        match self.count.saturating_sub(self.errors) {
            0 => Cell::default(),
            served => Cell { count: served, sum: self.seconds },
        }
    }

    fn error_cell(&self) -> Cell {
        Cell { count: self.count, sum: self.errors as f64 }
    }

    fn mean(&self) -> Option<(f64, f64)> {
        (self.count > 0).then(|| (self.seconds / self.count as f64, self.count as f64))
    }

    fn per_served(&self) -> Option<(f64, f64)> {
        let Cell { count, sum } = self.served_cell();
        (count > 0).then(|| (sum / count as f64, count as f64))
    }

    fn error_rate(&self) -> Option<(f64, f64)> {
        (self.count > 0).then(|| (self.errors as f64 / self.count as f64, self.count as f64))
    }

    /// Requests a second of the time in which they were measured.
    fn rate(&self, measured: Option<f64>) -> Option<(f64, f64)> {
        measured.map(|seconds| (self.count as f64 / seconds, self.count as f64))
    }
}

/// Everything of one bucket.
#[derive(Clone, Debug, Default)]
struct Total {
    sums: Sums,
    grid: GridSum,
    measured: Duration,
    memory: f64,
    memory_samples: u64,
}

impl Total {
    fn add(&mut self, slot: &TimedSlot) {
        if let Some(all) = slot.slot.all() {
            self.sums.add(all.count, all.errors, all.seconds);
            self.grid.add(&all);
        }
        self.measured += slot.slot.measured();
        if let Some(memory) = slot.slot.memory() {
            self.memory += memory.mean * memory.samples as f64;
            self.memory_samples += memory.samples;
        }
    }

    fn measured(&self, width: Duration) -> Option<f64> {
        let seconds = self.measured.as_secs_f64();
        (seconds >= ENOUGH_OF_A_BUCKET * width.as_secs_f64()).then_some(seconds)
    }

    fn memory(&self) -> Option<(f64, f64)> {
        let samples = self.memory_samples as f64;
        (self.memory_samples > 0).then(|| (self.memory / samples, samples))
    }
}
