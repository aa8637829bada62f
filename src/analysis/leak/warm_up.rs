//! [`end`]: the age of a process at which its warm-up ends.
//!
//! Code is loaded, pools and caches fill, the allocator takes its reserve: how long that lasts differs from service to
//! service, so it is estimated from the curve. A warm-up differs from a leak in that it slows down.

use super::growth::Samples;

/// Seconds after the start that are always left out: no service has settled in its first minute.
const SHORTEST: f64 = 60.0;
/// The longest warm-up that is recognised, in seconds; what grows for longer is judged.
const LONGEST: f64 = 4.0 * 3600.0;
/// The warm-up has ended once as much time again adds at most this share of the growth so far. An exponential approach
/// with time constant τ gets there at 1.4 τ; the end is taken at twice that age, when 6 % of the growth are still to
/// come.
const SLOWED_TO: f64 = 0.25;
/// Smallest growth of a warm-up, in bytes: less is noise.
const SMALLEST: f64 = 8e6;

/// Returns the age in seconds from which samples are judged.
///
/// Tries ages that grow by a half each. At the first one by which memory had grown, and in as much time again grew by a
/// quarter of that or less, the warm-up ends at twice that age. Without such an age it ends after the first minute.
pub(super) fn end(samples: &Samples) -> f64 {
    let Some(start) = samples.level(0.0, SHORTEST / 2.0).or_else(|| samples.level(0.0, SHORTEST)) else {
        return SHORTEST.max(samples.start_seconds());
    };
    let mut age = SHORTEST;
    while 2.0 * age <= samples.end_seconds().min(LONGEST) {
        let around = age * 0.1;
        let before = samples.level(age - around, age + around);
        let after = samples.level(2.0 * age - around, 2.0 * age + around);
        if let (Some(before), Some(after)) = (before, after) {
            let so_far = before - start;
            if so_far >= SMALLEST && after - before <= SLOWED_TO * so_far {
                return 2.0 * age;
            }
        }
        age *= 1.5;
    }
    SHORTEST.max(samples.start_seconds())
}
