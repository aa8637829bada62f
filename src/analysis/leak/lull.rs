//! [`Lull`]: does memory stay, or even grow, while the traffic is lower than it was before?
//!
//! Memory that follows the traffic, and memory that an allocator keeps from the traffic's peak, have one thing in
//! common: they set no new record while the traffic sets none. That holds whatever the shape of the dependence, so
//! nothing is fitted here. A lull is a time in which the traffic is clearly below its peak, or has long settled at it;
//! memory's records in lulls are what the traffic does not explain. While the traffic only rises there is no lull, and
//! nothing is known.

use super::sample::MemorySample;

/// Blocks of the window. Traffic is averaged over two of them, and memory may come one of them late.
const BLOCKS: usize = 24;
/// Share below the highest traffic so far from which on it is a lull …
const BELOW: f64 = 0.1;
/// … and standard deviations of the counted requests, where they are few.
const DEVIATIONS: f64 = 3.0;
/// Traffic that is no higher than this multiple of its peak of some blocks ago …
const NO_HIGHER: f64 = 1.02;
/// … has settled, after so many blocks: a quarter of the window …
const SETTLED: usize = BLOCKS / 4;
/// … and after so many seconds: sessions and caches end no later than that after the traffic they serve, as a rule.
const LATEST: f64 = 1800.0;
/// Least number of steps within lulls from which something follows.
const FEWEST: usize = 6;
/// Student's t that the mean step within lulls, without the largest, must reach, beside that of the whole growth.
const CLEAR: f64 = 3.0;
/// Share of the window's mean pace that memory must keep within lulls. A leak by the request slows down with the
/// traffic.
const PACE: f64 = 0.2;

/// The records of memory within lulls of the traffic, in one window.
#[derive(Debug)]
pub(super) struct Lull {
    /// By how much each block of a lull exceeded the highest memory before.
    steps: Vec<f64>,
}

/// The judgement on the lulls of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LullVerdict {
    /// Memory grows in lulls as it does otherwise: the traffic does not explain it.
    Stays,
    /// Memory has grown in lulls, not clearly enough.
    Unclear,
    /// Memory does not grow in lulls, or there was none.
    Falls,
}

/// One block of time.
struct Block {
    lowest: f64,
    rate: f64,
    requests: f64,
    age_seconds: f64,
}

impl Lull {
    /// Looks at the lulls from the age `from` on. The traffic's peak and the highest memory before count as well, even
    /// those of the warm-up: what falls with the first wave of the traffic looks like a warm-up. Without the traffic of
    /// every block there is no lull.
    pub(super) fn of(samples: &[MemorySample], from: f64) -> Self {
        let mut steps = Vec::new();
        let Some(blocks) = blocks(samples, from) else { return Self { steps } };
        let settled = SETTLED.max((LATEST * BLOCKS as f64 / (samples[samples.len() - 1].age_seconds - from)) as usize);
        let (mut peak, mut highest) = (0.0_f64, blocks[0].lowest);
        // The traffic's peak before each block, and whether the block before was one of a lull.
        let (mut peaks, mut in_lull) = (Vec::with_capacity(blocks.len()), false);
        for (before, block) in blocks.iter().zip(&blocks[1..]) {
            let rate = f64::midpoint(before.rate, block.rate);
            let counted = (before.requests + block.requests).max(1.0);
            let below = rate < peak * (1.0 - BELOW.max(DEVIATIONS / counted.sqrt()));
            let long_ago = peaks.len().checked_sub(settled).map(|index: usize| peaks[index]);
            let lull = below || long_ago.is_some_and(|peak: f64| rate <= peak * NO_HIGHER);
            if lull && in_lull && block.age_seconds >= from {
                steps.push((block.lowest - highest).max(0.0));
            }
            peaks.push(peak);
            (peak, highest, in_lull) = (peak.max(rate), highest.max(block.lowest), lull);
        }
        Self { steps }
    }

    /// Judges the lulls of a window in which memory grew by `growth` bytes.
    pub(super) fn judge(&self, growth: f64) -> LullVerdict {
        let count = self.steps.len() as f64;
        let share = count / BLOCKS as f64;
        let sum: f64 = self.steps.iter().sum();
        if sum <= growth * share * PACE {
            return LullVerdict::Falls;
        }
        if self.steps.len() < FEWEST {
            return LullVerdict::Unclear;
        }
        let largest = self.steps.iter().copied().fold(0.0, f64::max);
        let (rest, count) = (sum - largest, count - 1.0);
        let mean = rest / count;
        let squares: f64 = self.steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() - (largest - mean).powi(2);
        let error = (squares.max(0.0) / (count - 1.0) / count).sqrt();
        let late = &self.steps[self.steps.len() - self.steps.len() / 3..];
        let recent = late.iter().sum::<f64>() / late.len() as f64;
        let clear = mean >= CLEAR * error && recent >= mean * PACE;
        if clear && rest >= growth * share * PACE { LullVerdict::Stays } else { LullVerdict::Unclear }
    }
}

/// Cuts the samples into blocks of a 24th of the window that begins at the age `from`, the earlier ones as well; `None`
/// where the traffic is not known.
fn blocks(samples: &[MemorySample], from: f64) -> Option<Vec<Block>> {
    let end = samples.last()?.age_seconds;
    let length = (end - from) / BLOCKS as f64;
    // Counted from the end, so that the window has whole blocks.
    let of = |sample: &MemorySample| ((end - sample.age_seconds) / length) as usize;
    let block = |samples: &[MemorySample]| {
        let sum = samples.iter().map(|sample| sample.requests_per_second).sum::<Option<f64>>()?;
        let rate = sum / samples.len() as f64;
        Some(Block {
            lowest: samples.iter().map(|sample| sample.resident_bytes).fold(f64::INFINITY, f64::min),
            rate,
            requests: rate * length,
            age_seconds: samples[0].age_seconds,
        })
    };
    samples.chunk_by(|a, b| of(a) == of(b)).map(block).collect()
}
