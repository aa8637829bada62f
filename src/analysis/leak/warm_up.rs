//! Where the warm-up ends.
//!
//! Code is loaded, pools and caches are filled, the allocator takes its reserve: how long that lasts is the service's
//! own affair, so it is looked for rather than fixed. What tells it from a leak is that it slows down.

use super::growth::Samples;

/// Time after the start that is always left out: no service is itself in its first minute.
const SHORTEST: f64 = 60.0;
/// The longest warm-up that is recognised.
const LONGEST: f64 = 4.0 * 3600.0;
/// A next stretch that adds less than this share of all growth so far ends the warm-up. An exponential approach with
/// time constant τ gets there at 1.4 τ, and since twice that age is taken for the end, 6 % of it are left.
const SLOWED_TO: f64 = 0.25;
/// Growth that is worth the name, in bytes: less than this is noise.
const SMALLEST: f64 = 8e6;

/// Returns the age in seconds from which on samples count.
///
/// Ages are tried in steps of a half; at the first one by which memory had grown and after which, for as long again, it
/// grew a quarter as much or less, the process counts as warm from the end of that second stretch on.
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
