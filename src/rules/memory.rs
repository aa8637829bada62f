//! From the memory's curve to the measure `memory_growth`.

use tokio::time::Instant;

use super::{
    leak::{LeakDetector, LeakVerdict, MemorySample},
    window_readings::MemoryGrowth,
};
use crate::store::MemoryTrack;

/// Judges the memory's curve since `started`; the limit is in bytes.
pub(crate) fn judge_memory(track: &MemoryTrack, started: Instant, limit: Option<f64>) -> LeakVerdict {
    let samples: Vec<MemorySample> = track
        .samples()
        .map(|sample| MemorySample {
            age_seconds: sample.at.saturating_duration_since(started).as_secs_f64(),
            resident_bytes: sample.resident_bytes,
            requests_per_second: Some(sample.requests_per_second),
        })
        .collect();
    let detector = limit.map_or_else(LeakDetector::new, |limit| LeakDetector::new().limit_bytes(limit));
    detector.judge(&samples)
}

/// Returns the growth that a verdict established.
pub(crate) fn memory_growth(verdict: &LeakVerdict, samples: u64) -> Option<MemoryGrowth> {
    match verdict {
        LeakVerdict::Consistent(leak) => Some(MemoryGrowth { bytes_per_hour: leak.bytes_per_hour, samples }),
        LeakVerdict::NotEnoughData { .. } | LeakVerdict::Steady | LeakVerdict::FollowsTraffic => None,
    }
}
