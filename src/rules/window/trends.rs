//! [`TrendReport`]: the trends of the service and of its endpoints over some hours.
//!
//! Divides the time into buckets, sums each from the slots of the trend tiers and leaves the judgement to
//! [`Trend`](crate::analysis::Trend). Response time over all endpoints is judged at a constant mix of the traffic, so
//! that more calls of a slow endpoint are not a slowdown; the plain mean is judged beside it. The invariant that a
//! change could break: the trends of all endpoints in one report are one family of tests and are corrected together.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    analysis::{self, Cell, Direction, MixedMean, Point, Trend, bucket_width, standardise},
    store::{GridSum, NO_ENDPOINT, Run, Tiers, TimedSlot},
};

/// Number of endpoints that are judged: those that take the most time. The others take almost none, and each further
/// test makes the correction for many tests stricter.
const JUDGED: usize = 200;
/// Number of endpoints that a report shows.
const SHOWN: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);
/// Share of a bucket that must have been measured for its throughput to count, 0 to 1: traffic comes in bursts, and the
/// rate of a few seconds is not that of half an hour.
const LEAST_COVERAGE_RATIO: f64 = 0.5;

/// The input of a report, copied out of the tiers so that another thread can compute it without their lock.
#[derive(Debug)]
pub(crate) struct TrendSource {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) slots: Vec<TimedSlot>,
    pub(super) names: BTreeMap<u32, Arc<str>>,
    pub(super) runs: Vec<Run>,
}

impl TrendSource {
    /// Copies the full minutes of the last `length` before `now` on the wall clock.
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

    /// Returns the number of an endpoint; `None` where nothing was measured of it.
    #[cfg(feature = "page")]
    pub(super) fn number(&self, endpoint: &str) -> Option<u32> {
        self.names.iter().find(|(_, name)| &***name == endpoint).map(|(number, _)| *number)
    }
}

/// One series of buckets with its trend.
#[derive(Clone, Debug)]
pub(crate) struct SeriesTrend {
    pub(crate) trend: Trend,
    /// Value of each bucket; `None` where nothing was measured.
    pub(crate) series: Vec<Option<f64>>,
}

impl SeriesTrend {
    /// Calls a change of the response time stable if failed requests may explain it. Their durations are in the mean:
    /// in an outage in which every other request fails at once the mean falls although nothing got faster, and rises at
    /// its end.
    ///
    /// Slots do not hold the time of successful requests alone, but that of all requests is an upper bound of it.
    /// Unless this bound per successful request changes in the same direction, the change is not certain.
    fn unless_failures_explain(mut self, per_success: impl FnOnce() -> Self) -> Self {
        let direction = self.trend.direction();
        let changes = matches!(direction, Direction::Improving | Direction::Degrading);
        if changes && per_success().trend.direction() != direction {
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
    pub(crate) response_time: SeriesTrend,
    /// 95th percentile of each bucket, in seconds.
    pub(crate) p95: Vec<Option<f64>>,
    pub(crate) error_rate: SeriesTrend,
    pub(crate) throughput: SeriesTrend,
}

/// The trends of a service. Times are on the wall clock, since the Unix epoch.
#[derive(Clone, Debug)]
pub(crate) struct TrendReport {
    /// Start of the time that was asked for.
    pub(crate) from: Duration,
    /// Its end.
    pub(crate) to: Duration,
    /// Length of a bucket.
    pub(crate) width: Duration,
    /// Start of each bucket, oldest first. Buckets begin with the data, which may be later than `from`.
    pub(crate) starts: Vec<Duration>,
    pub(crate) requests: u64,
    /// At a constant mix of the traffic. It includes failed requests, but a change that they may explain is stable.
    pub(crate) response_time: SeriesTrend,
    /// At the mix of the requests as they came.
    pub(crate) crude_response_time: SeriesTrend,
    pub(crate) p95: Vec<Option<f64>>,
    /// At a constant mix of the traffic.
    pub(crate) error_rate: SeriesTrend,
    /// At the mix of the requests as they came.
    pub(crate) crude_error_rate: SeriesTrend,
    pub(crate) throughput: SeriesTrend,
    pub(crate) memory: SeriesTrend,
    /// Those that get worse first, then by the time they take; at most [`SHOWN`].
    pub(crate) endpoints: Vec<EndpointTrends>,
    /// Number of all endpoints with requests.
    pub(crate) endpoint_count: usize,
    /// Runs of the service that started in that time.
    pub(crate) runs: Vec<Run>,
}

impl TrendReport {
    /// Judges the series of `source`, and of its endpoints those that `wanted` accepts.
    pub(crate) fn of(source: TrendSource, wanted: impl Fn(&str) -> bool) -> Self {
        let buckets = Buckets::cut(&source);
        let (totals, endpoints) = buckets.sum(&source.slots);
        let mixed = |cell: fn(&RequestSums) -> Cell| {
            let cells: Vec<Vec<Cell>> = endpoints.values().map(|sums| sums.iter().map(cell).collect()).collect();
            standardise(buckets.count, cells.iter().map(Vec::as_slice))
        };
        let (times, errors) = (mixed(RequestSums::time_cell), mixed(RequestSums::error_cell));
        let standardised = |mixed: Option<MixedMean>| mixed.map(|mixed| (mixed.standardised, mixed.count as f64));
        let overall = |measure, value: &dyn Fn(usize) -> Option<(f64, f64)>| buckets.judge(measure, value);
        let response_time = overall(analysis::Measure::ResponseTime, &|at| standardised(times[at]))
            .unless_failures_explain(|| {
                let succeeded = mixed(RequestSums::success_cell);
                overall(analysis::Measure::ResponseTime, &|at| standardised(succeeded[at]))
            });
        let crude_response_time = overall(analysis::Measure::ResponseTime, &|at| totals[at].sums.mean())
            .unless_failures_explain(|| overall(analysis::Measure::ResponseTime, &|at| totals[at].sums.per_success()));
        let measured: Vec<Option<f64>> = totals.iter().map(|total| total.measured(buckets.width)).collect();
        let named = |number: &u32| source.names.get(number).filter(|name| &***name != NO_ENDPOINT);
        let known: Vec<_> =
            endpoints.iter().filter_map(|(number, sums)| Some((*number, named(number)?.clone(), sums))).collect();
        let endpoint_count = known.len();
        let candidates = known.into_iter().filter(|(_, name, _)| wanted(name)).collect();
        Self {
            from: source.from,
            to: source.to,
            width: buckets.width,
            starts: buckets.starts(),
            requests: totals.iter().map(|total| total.sums.count).sum(),
            response_time,
            crude_response_time,
            p95: totals.iter().map(|total| total.grid.quantile(0.95)).collect(),
            error_rate: overall(analysis::Measure::ErrorRate, &|at| standardised(errors[at])),
            crude_error_rate: overall(analysis::Measure::ErrorRate, &|at| totals[at].sums.error_rate()),
            throughput: overall(analysis::Measure::Throughput, &|at| totals[at].sums.rate(measured[at])),
            memory: overall(analysis::Measure::Memory, &|at| totals[at].memory()),
            endpoints: judge_endpoints(&source.slots, &buckets, &measured, candidates),
            endpoint_count,
            runs: source.runs,
        }
    }
}

/// Judges the [`JUDGED`] endpoints that take the most time, and returns the [`SHOWN`] to show.
fn judge_endpoints(
    slots: &[TimedSlot],
    buckets: &Buckets,
    measured: &[Option<f64>],
    mut candidates: Vec<(u32, Arc<str>, &Vec<RequestSums>)>,
) -> Vec<EndpointTrends> {
    let seconds = |sums: &[RequestSums]| sums.iter().map(|sums| sums.seconds).sum::<f64>();
    candidates.sort_by(|(.., a), (.., b)| seconds(b).total_cmp(&seconds(a)));
    candidates.truncate(JUDGED);
    let mut judged: Vec<(u32, EndpointTrends)> = candidates
        .into_iter()
        .map(|(number, name, sums)| (number, EndpointTrends::of(name, sums, buckets, measured)))
        .collect();
    Trend::adjust_for_many(judged.iter_mut().flat_map(|(_, endpoint)| {
        [&mut endpoint.response_time, &mut endpoint.error_rate, &mut endpoint.throughput]
            .map(|series| &mut series.trend)
    }));
    // The sort is stable: within either half the order by time is kept.
    judged.sort_by_key(|(_, endpoint)| Reverse(endpoint.gets_worse()));
    judged.truncate(SHOWN);
    add_percentiles(&mut judged, slots, buckets);
    judged.into_iter().map(|(_, endpoint)| endpoint).collect()
}

/// Adds the 95th percentile of each bucket. Only the endpoints that are shown need their grids, which are large.
fn add_percentiles(endpoints: &mut [(u32, EndpointTrends)], slots: &[TimedSlot], buckets: &Buckets) {
    let mut grids: BTreeMap<u32, Vec<GridSum>> =
        endpoints.iter().map(|(number, _)| (*number, vec![GridSum::default(); buckets.count])).collect();
    for (bucket, slot) in buckets.place(slots) {
        for entry in slot.slot.endpoints() {
            if let Some(grid) = grids.get_mut(&entry.endpoint) {
                grid[bucket].add(&entry);
            }
        }
    }
    for (number, endpoint) in endpoints {
        endpoint.p95 = grids[number].iter().map(|grid| grid.quantile(0.95)).collect();
    }
}

impl EndpointTrends {
    /// Judges one endpoint, without its percentiles.
    fn of(name: Arc<str>, sums: &[RequestSums], buckets: &Buckets, measured: &[Option<f64>]) -> Self {
        Self {
            name,
            requests: sums.iter().map(|sums| sums.count).sum(),
            seconds: sums.iter().map(|sums| sums.seconds).sum(),
            response_time: buckets
                .judge(analysis::Measure::ResponseTime, &|at| sums[at].mean())
                .unless_failures_explain(|| {
                    buckets.judge(analysis::Measure::ResponseTime, &|at| sums[at].per_success())
                }),
            p95: Vec::new(),
            error_rate: buckets.judge(analysis::Measure::ErrorRate, &|at| sums[at].error_rate()),
            throughput: buckets.judge(analysis::Measure::Throughput, &|at| sums[at].rate(measured[at])),
        }
    }

    fn gets_worse(&self) -> bool {
        [&self.response_time, &self.error_rate].iter().any(|judged| judged.trend.direction() == Direction::Degrading)
    }
}

/// The time of a report, divided into buckets of one length. The last one ends with the time, so that it is full.
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

    /// Returns the sums of each bucket, of the whole service and of each endpoint by its number.
    fn sum(&self, slots: &[TimedSlot]) -> (Vec<ServiceBucket>, BTreeMap<u32, Vec<RequestSums>>) {
        let mut totals = vec![ServiceBucket::default(); self.count];
        let mut endpoints: BTreeMap<u32, Vec<RequestSums>> = BTreeMap::new();
        for (bucket, slot) in self.place(slots) {
            totals[bucket].add(slot);
            for entry in slot.slot.endpoints() {
                let sums = endpoints.entry(entry.endpoint).or_insert_with(|| vec![RequestSums::default(); self.count]);
                sums[bucket].add(entry.count, entry.errors, entry.seconds);
            }
        }
        (totals, endpoints)
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
    fn judge(&self, measure: analysis::Measure, value: &dyn Fn(usize) -> Option<(f64, f64)>) -> SeriesTrend {
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
        SeriesTrend { trend: Trend::of(measure, &points), series }
    }
}

/// The requests of one bucket, of all endpoints or of one.
#[derive(Clone, Copy, Debug, Default)]
struct RequestSums {
    count: u64,
    errors: u64,
    seconds: f64,
}

impl RequestSums {
    fn add(&mut self, count: u64, errors: u64, seconds: f64) {
        self.count += count;
        self.errors += errors;
        self.seconds += seconds;
    }

    fn time_cell(&self) -> Cell {
        Cell { count: self.count, sum: self.seconds }
    }

    /// Returns the time of all requests and the number of those that did not fail: an upper bound of their mean.
    fn success_cell(&self) -> Cell {
        match self.count.saturating_sub(self.errors) {
            0 => Cell::default(),
            succeeded => Cell { count: succeeded, sum: self.seconds },
        }
    }

    fn error_cell(&self) -> Cell {
        Cell { count: self.count, sum: self.errors as f64 }
    }

    fn mean(&self) -> Option<(f64, f64)> {
        (self.count > 0).then(|| (self.seconds / self.count as f64, self.count as f64))
    }

    fn per_success(&self) -> Option<(f64, f64)> {
        let Cell { count, sum } = self.success_cell();
        (count > 0).then(|| (sum / count as f64, count as f64))
    }

    fn error_rate(&self) -> Option<(f64, f64)> {
        (self.count > 0).then(|| (self.errors as f64 / self.count as f64, self.count as f64))
    }

    /// Returns the requests per second of the time in which they were measured.
    fn rate(&self, measured: Option<f64>) -> Option<(f64, f64)> {
        measured.map(|seconds| (self.count as f64 / seconds, self.count as f64))
    }
}

/// One bucket of the whole service.
#[derive(Clone, Debug, Default)]
struct ServiceBucket {
    sums: RequestSums,
    grid: GridSum,
    measured: Duration,
    memory: f64,
    memory_samples: u64,
}

impl ServiceBucket {
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
        (seconds >= LEAST_COVERAGE_RATIO * width.as_secs_f64()).then_some(seconds)
    }

    fn memory(&self) -> Option<(f64, f64)> {
        let samples = self.memory_samples as f64;
        (self.memory_samples > 0).then(|| (self.memory / samples, samples))
    }
}
