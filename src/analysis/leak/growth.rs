//! [`Samples::judge`]: does memory grow throughout one window, and not because of the traffic?

use super::{
    super::statistics::{MannKendall, TheilSen, median, tail},
    lull::{Lull, LullVerdict},
    sample::MemorySample,
};

/// Segments whose lowest values are compared.
const SEGMENTS: usize = 12;
/// Finer bins, for fitting the line and the traffic.
const BINS: usize = 4 * SEGMENTS;
/// Student's t that the mean increment must reach. With all segments there, p = 0.003; the benchmark
/// `leak_curves` measures what follows for whole curves.
const CLEAR: f64 = 4.0;
/// The same for what is left without the traffic's part. It is lower, since fitting that part takes some of the growth
/// away.
const CLEAR_BESIDE_TRAFFIC: f64 = 3.0;
/// P-value of Mann–Kendall's test above which growth may be chance.
const LEVEL: f64 = 0.01;
/// Variance of a line's slope through a random walk, by that of the mean of its increments: 6/5 for least squares, and
/// Theil–Sen's is hardly different.
const LINE_BY_INCREMENTS: f64 = 1.2;
/// Share of the mean pace that the last quarter of the window must reach, so that a plateau is not growth.
const STILL_GROWING: f64 = 0.6;
/// Share of the first half's growth that the second half must reach in a window that is not long: a warm-up that fades
/// exponentially is below it after one time constant.
const SECOND_HALF: f64 = 0.6;
/// Length in seconds from which on a window is long: its growth need not be large compared with the process.
const LONG: f64 = 3.0 * 3600.0;
/// Multiple of the memory's share in the traffic up to which more traffic explains more memory. A cache with an entry
/// for each user so far grows with the sum of the traffic, hence faster than the traffic; it is known for one once the
/// traffic no longer rises, which [`Lull`] sees.
const MOST_BY_TRAFFIC: f64 = 3.0;

/// Smallest rise, in bytes and by the memory at its start, that is more than noise: from then on memory is not steady.
const SMALLEST_RISE: f64 = 6e6;
const SMALLEST_RISE_RATIO: f64 = 0.02;
/// Share of a rise that the second half of the window must add, so that a plateau is steady.
const STILL_RISING: f64 = 0.2;

/// Usable samples of one life of a process, in the order of age.
pub(super) struct Samples(Vec<MemorySample>);

/// The judgement on one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WindowVerdict {
    /// No lasting growth.
    Steady,
    /// Growth of which it cannot be said yet whether it lasts, or whether it falls with the traffic.
    Rising,
    /// Growth that the traffic explains.
    FollowsTraffic,
    /// Growth that the traffic does not explain.
    Growing(Growth),
}

/// Growth within a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Growth {
    /// Bytes per second.
    pub(super) slope: f64,
    /// 95 % interval of the slope.
    pub(super) interval: (f64, f64),
    /// Slope times the window.
    pub(super) bytes: f64,
    /// Two-sided p-value of the increments' t, without the largest one.
    pub(super) p_value: f64,
}

/// Returns the smallest growth, in bytes, that counts in a window of `span` seconds, given the memory at its start.
///
/// 10 MB an hour over hours must be found: that is coroot's first threshold. Over days the pace may be half of that.
/// Growth of less than three hours may as well be a collector's tooth, a job or a slow warm-up, so it must be large
/// compared with the process: half of its memory in windows of up to three hours, and all of it in the few minutes
/// after a start (for comparison, linnix asks for 50 MB in 15 minutes).
fn smallest_growth(span: f64, held: f64) -> f64 {
    const HOUR: f64 = 3600.0;
    match span {
        ..600.0 => held.max(128e6),
        ..LONG => (held / 2.0).max(128e6),
        _ => (5e6 * span / HOUR).max(24e6),
    }
}

impl Samples {
    /// Keeps the samples that are finite, positive and later than the one before.
    pub(super) fn of(samples: &[MemorySample]) -> Self {
        let mut kept: Vec<MemorySample> = Vec::with_capacity(samples.len());
        for sample in samples {
            let usable =
                sample.age_seconds.is_finite() && sample.resident_bytes.is_finite() && sample.resident_bytes > 0.0;
            if usable && kept.last().is_none_or(|last| sample.age_seconds > last.age_seconds) {
                kept.push(*sample);
            }
        }
        Self(kept)
    }

    /// Returns the age of the first sample; 0 without any.
    pub(super) fn start_seconds(&self) -> f64 {
        self.0.first().map_or(0.0, |sample| sample.age_seconds)
    }

    /// Returns the age of the last sample; 0 without any.
    pub(super) fn end_seconds(&self) -> f64 {
        self.0.last().map_or(0.0, |sample| sample.age_seconds)
    }

    /// Returns the memory of the last sample; 0 without any.
    pub(super) fn last_bytes(&self) -> f64 {
        self.0.last().map_or(0.0, |sample| sample.resident_bytes)
    }

    /// Returns the median memory between two ages; `None` without a sample there.
    pub(super) fn level(&self, from: f64, to: f64) -> Option<f64> {
        let mut values: Vec<f64> = self.between(from, to).iter().map(|sample| sample.resident_bytes).collect();
        median(&mut values)
    }

    fn between(&self, from: f64, to: f64) -> &[MemorySample] {
        let first = self.0.partition_point(|sample| sample.age_seconds < from);
        let last = self.0.partition_point(|sample| sample.age_seconds <= to);
        &self.0[first..last.max(first)]
    }

    /// Judges the samples from the age `from` on, given the age `warm` at which the warm-up ended.
    pub(super) fn judge(&self, warm: f64, from: f64) -> WindowVerdict {
        let end = self.end_seconds();
        let Some(bins) = Bins::cut(self.between(from, end), from, end) else { return WindowVerdict::Steady };
        let growth = bins.growth(&bins.troughs, CLEAR);
        let Some(growth) = growth.filter(|growth| self.exceeds_the_past(warm, from, growth.bytes)) else {
            return if self.rises(&bins, warm, from) { WindowVerdict::Rising } else { WindowVerdict::Steady };
        };
        let explained = bins.traffic().iter().any(|traffic| {
            let left = bins.without(traffic);
            bins.growth(&left, CLEAR_BESIDE_TRAFFIC).is_none()
        });
        if !explained {
            return WindowVerdict::Growing(growth);
        }
        match Lull::of(&self.0, from).judge(growth.bytes) {
            LullVerdict::Stays => WindowVerdict::Growing(growth),
            LullVerdict::Unclear => WindowVerdict::Rising,
            LullVerdict::Falls => WindowVerdict::FollowsTraffic,
        }
    }

    /// Returns whether memory has risen since the age `from` and goes on rising, too little or for too short a time to
    /// be judged: [`judge`](Self::judge) asks for much more.
    fn rises(&self, bins: &Bins, warm: f64, from: f64) -> bool {
        let segments = bins.segments(&bins.troughs);
        let (first, last) = (segments[0], segments[segments.len() - 1]);
        let half = segments[segments.len() / 2];
        let gained = last - first;
        gained >= SMALLEST_RISE.max(first * SMALLEST_RISE_RATIO)
            && last - half >= gained * STILL_RISING
            && MannKendall::of(&segments).p_value(1.0) <= LEVEL
            && self.exceeds_the_past(warm, from, gained)
    }

    /// Returns whether memory at the end is above that between the warm-up and the window by at least half of the
    /// growth.
    ///
    /// A sawtooth, a nightly job and daily traffic return to earlier levels. One earlier value in twenty may be higher.
    fn exceeds_the_past(&self, warm: f64, from: f64, growth: f64) -> bool {
        let mut past: Vec<f64> = self.between(warm, from).iter().map(|sample| sample.resident_bytes).collect();
        if past.is_empty() {
            return true;
        }
        let rank = (past.len() - 1) * 19 / 20;
        let high = *past.select_nth_unstable_by(rank, f64::total_cmp).1;
        let end = self.end_seconds();
        self.level(end - (end - from) / SEGMENTS as f64, end).is_some_and(|now| now >= high + growth / 2.0)
    }
}

/// The samples of one window, in bins of equal length.
struct Bins {
    span: f64,
    /// Middle of each bin that has samples.
    at: Vec<f64>,
    /// Segment of each bin.
    segment: Vec<usize>,
    /// Lowest memory of each bin.
    troughs: Vec<f64>,
    /// Mean requests per second of each bin; empty unless every bin has them.
    rates: Vec<f64>,
}

impl Bins {
    /// Divides `samples` among bins; `None` where fewer than five of six segments have a sample.
    fn cut(samples: &[MemorySample], from: f64, end: f64) -> Option<Self> {
        let span = end - from;
        let bins = if samples.len() >= 2 * BINS { BINS } else { SEGMENTS };
        let bin_of =
            |sample: &MemorySample| (((sample.age_seconds - from) / span * bins as f64) as usize).min(bins - 1);
        let mut window = Self { span, at: vec![], segment: vec![], troughs: vec![], rates: vec![] };
        for bin in samples.chunk_by(|a, b| bin_of(a) == bin_of(b)) {
            let position = bin_of(&bin[0]);
            window.at.push((position as f64 + 0.5) * span / bins as f64);
            window.segment.push(position * SEGMENTS / bins);
            window.troughs.push(bin.iter().map(|sample| sample.resident_bytes).fold(f64::INFINITY, f64::min));
            let known: Vec<f64> = bin.iter().filter_map(|sample| sample.requests_per_second).collect();
            if !known.is_empty() {
                window.rates.push(known.iter().sum::<f64>() / known.len() as f64);
            }
        }
        if window.rates.len() < window.at.len() {
            window.rates.clear();
        }
        (window.segments(&window.troughs).len() * 6 >= SEGMENTS * 5).then_some(window)
    }

    /// Returns the lowest of `values`, one per bin, of each segment that has any.
    fn segments(&self, values: &[f64]) -> Vec<f64> {
        let mut lowest: Vec<(usize, f64)> = Vec::with_capacity(SEGMENTS);
        for (&segment, &value) in self.segment.iter().zip(values) {
            match lowest.last_mut() {
                Some((last, low)) if *last == segment => *low = low.min(value),
                _ => lowest.push((segment, value)),
            }
        }
        lowest.into_iter().map(|(_, low)| low).collect()
    }

    /// Returns the growth of `values`, one per bin, if it is large, significant, spread over the window and still going
    /// on.
    fn growth(&self, values: &[f64], clear: f64) -> Option<Growth> {
        let segments = self.segments(values);
        let mut steps: Vec<f64> = segments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let reach = self.reach(&steps);
        let quarter = &steps[steps.len() - steps.len() / 4..];
        let recent = quarter.iter().sum::<f64>() / quarter.len() as f64;
        let (first, second) = (&steps[..steps.len() / 2], &steps[steps.len().div_ceil(2)..]);
        let slows_down = second.iter().sum::<f64>() < SECOND_HALF * first.iter().sum::<f64>();
        if slows_down && self.span < LONG {
            return None;
        }
        let largest = steps.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?.0;
        steps.swap_remove(largest);
        let count = steps.len() as f64;
        let mean = steps.iter().sum::<f64>() / count;
        let variance = steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let t = if variance > 0.0 { mean / (variance / count).sqrt() } else { f64::INFINITY };
        let smallest = smallest_growth(self.span, segments[0]);
        // Without the largest step, two thirds of the smallest growth must remain.
        let spread = mean * (SEGMENTS - 1) as f64 >= smallest * 2.0 / 3.0;
        if !(mean > 0.0 && t >= clear && spread && recent >= STILL_GROWING * mean) {
            return None;
        }
        if MannKendall::of(&segments).p_value(1.0) > LEVEL {
            return None;
        }
        let line = TheilSen::fit(&self.at, values, &MannKendall::of(values), 1.0)?;
        let bytes = line.slope * self.span;
        let p_value = tail::student_two_sided(t, steps.len() as u32 - 1);
        (bytes >= smallest && line.low > 0.0).then_some(Growth {
            slope: line.slope,
            interval: (line.slope - reach, line.slope + reach),
            bytes,
            p_value,
        })
    }

    /// Returns the distance within which the line's slope lies from the true one in 95 of 100 cases, in bytes per
    /// second.
    ///
    /// It is computed from the increments, as the test is. Sen's interval assumes independent distances from the line;
    /// memory is a random walk, of which it would hold the true pace in one of five cases. Where the distances are
    /// independent after all, this interval is wider than necessary.
    fn reach(&self, steps: &[f64]) -> f64 {
        let count = steps.len() as f64;
        let mean = steps.iter().sum::<f64>() / count;
        let variance = steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let error = (LINE_BY_INCREMENTS * variance / count).sqrt() / (self.span / SEGMENTS as f64);
        tail::student_95(steps.len() as u32 - 1) * error
    }

    /// Returns the two series of the traffic that memory may follow, each with one value per bin: the rate, and the
    /// highest rate so far, since an allocator may keep what a peak once needed. Empty where the traffic is not known.
    fn traffic(&self) -> Vec<Vec<f64>> {
        if self.rates.is_empty() {
            return vec![];
        }
        let mut peak = f64::NEG_INFINITY;
        let peaks = self.rates.iter().map(|&rate| {
            peak = peak.max(rate);
            peak
        });
        vec![self.rates.clone(), peaks.collect()]
    }

    /// Returns the troughs without the part that `traffic` explains.
    ///
    /// The memory per request per second is fitted by Theil–Sen, and lies between zero and a few times the value at which
    /// all of the memory is proportional to the traffic: 2 % more traffic does not explain 20 % more memory.
    fn without(&self, traffic: &[f64]) -> Vec<f64> {
        let typical = |values: &[f64]| median(&mut values.to_vec()).unwrap_or(0.0);
        let (rate, memory) = (typical(traffic), typical(&self.troughs));
        let most = if rate > 0.0 { MOST_BY_TRAFFIC * memory / rate } else { f64::INFINITY };
        let each = TheilSen::slope(traffic, &self.troughs).unwrap_or(0.0).clamp(0.0, most);
        self.troughs.iter().zip(traffic).map(|(trough, now)| trough - each * (now - rate)).collect()
    }
}
