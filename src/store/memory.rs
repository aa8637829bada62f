//! [`MemoryTrack`]: the process's memory over time.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Samples kept as they came: an hour of ticks of 5 s.
const FINE: usize = 720;
/// Minutes kept of what came before: a day.
const COARSE: usize = 1440;
const MINUTE: Duration = Duration::from_secs(60);

/// The process's memory at one moment, and the load it had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MemorySample {
    pub(crate) at: Instant,
    pub(crate) resident_bytes: f64,
    pub(crate) requests_per_second: f64,
}

/// Resident memory of the last day: every sample of the last hour or so, a mean for each minute before.
#[derive(Debug, Default)]
pub(crate) struct MemoryTrack {
    fine: VecDeque<MemorySample>,
    coarse: VecDeque<MemorySample>,
    /// The minute that is being gathered: its samples so far, summed.
    minute: Option<(MemorySample, f64)>,
    count: u64,
    sum: f64,
    peak: Option<f64>,
}

impl MemoryTrack {
    /// Takes the newest sample.
    pub(crate) fn push(&mut self, sample: MemorySample) {
        self.count += 1;
        self.sum += sample.resident_bytes;
        self.peak = Some(self.peak.map_or(sample.resident_bytes, |peak| peak.max(sample.resident_bytes)));
        self.fine.push_back(sample);
        if self.fine.len() > FINE {
            self.fine.pop_front().into_iter().for_each(|oldest| self.thin_out(oldest));
        }
    }

    fn thin_out(&mut self, sample: MemorySample) {
        let Some((minute, count)) = &mut self.minute else {
            self.minute = Some((sample, 1.0));
            return;
        };
        if sample.at.saturating_duration_since(minute.at) < MINUTE {
            minute.resident_bytes += sample.resident_bytes;
            minute.requests_per_second += sample.requests_per_second;
            *count += 1.0;
            return;
        }
        let mean = MemorySample {
            at: minute.at,
            resident_bytes: minute.resident_bytes / *count,
            requests_per_second: minute.requests_per_second / *count,
        };
        self.minute = Some((sample, 1.0));
        self.coarse.push_back(mean);
        if self.coarse.len() > COARSE {
            self.coarse.pop_front();
        }
    }

    /// Starts the mean and the peak anew. The curve stays: it says whether the memory leaks.
    pub(crate) fn clear(&mut self) {
        (self.count, self.sum, self.peak) = (0, 0.0, None);
    }

    /// Returns the samples, oldest first.
    pub(crate) fn samples(&self) -> impl Iterator<Item = MemorySample> + '_ {
        self.coarse.iter().chain(&self.fine).copied()
    }

    /// Returns the mean of the resident memory since the start or the last clear, in bytes.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Returns its peak since the start or the last clear, in bytes.
    pub(crate) fn peak(&self) -> Option<f64> {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_kept_in_fixed_memory_and_in_order() {
        let mut track = MemoryTrack::default();
        let start = Instant::now();
        let tick = Duration::from_secs(5);
        for step in 0..30 * 720_u32 {
            let resident_bytes = f64::from(step);
            track.push(MemorySample { at: start + tick * step, resident_bytes, requests_per_second: 1.0 });
        }
        let samples: Vec<_> = track.samples().collect();
        assert_eq!(samples.len(), FINE + COARSE);
        assert!(samples.is_sorted_by_key(|sample| sample.at));
        // Means of twelve neighbours.
        assert!(samples[..COARSE].windows(2).all(|pair| pair[1].resident_bytes - pair[0].resident_bytes == 12.0));
        assert!(samples.iter().all(|sample| (sample.requests_per_second - 1.0).abs() < 1e-9));
        assert_eq!(track.peak(), Some(f64::from(30 * 720 - 1)));
    }

    #[test]
    fn no_sample_has_no_mean() {
        assert_eq!((MemoryTrack::default().mean(), MemoryTrack::default().peak()), (None, None));
    }
}
