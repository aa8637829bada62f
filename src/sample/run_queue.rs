//! [`RunQueueTime`]: how long the threads of this process were ready to run and did not run.
//!
//! The kernel counts it for each thread; the sum over the threads of now would fall when one ends. So each thread's last value is
//! kept, and what it grew by is added up. Source: the kernel's document sched-stats.

use std::{collections::HashMap, fs, time::Duration};

/// Threads that are read at most: reading one takes some ten microseconds. Threads beyond are left out, so that the sum is too
/// small and never too large.
const THREADS: usize = 512;

/// The sum over all threads that were seen.
#[derive(Debug, Default)]
pub(super) struct RunQueueTime {
    threads: HashMap<u32, Seen>,
    total: Duration,
    round: u64,
}

/// A thread as it was last seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    waited: Duration,
    round: u64,
}

impl RunQueueTime {
    /// Reads the threads and returns the sum; `None` where the kernel does not count.
    pub(super) fn read(&mut self) -> Option<Duration> {
        let threads = fs::read_dir("/proc/self/task").ok()?.flatten().take(THREADS);
        let times = threads.filter_map(|entry| {
            let thread = entry.file_name().to_str()?.parse().ok()?;
            Some((thread, waited(&fs::read_to_string(entry.path().join("schedstat")).ok()?)?))
        });
        self.add(times.collect::<Vec<_>>())
    }

    /// Adds what threads have waited since they were last seen. A thread that waited less than before is another one with the
    /// number of one that ended.
    fn add(&mut self, times: impl IntoIterator<Item = (u32, Duration)>) -> Option<Duration> {
        self.round += 1;
        let round = self.round;
        let mut any = false;
        for (thread, waited) in times {
            any = true;
            let before = self.threads.insert(thread, Seen { waited, round }).map_or(Duration::ZERO, |seen| seen.waited);
            self.total += waited.checked_sub(before).unwrap_or(waited);
        }
        self.threads.retain(|_, seen| seen.round == round);
        any.then_some(self.total)
    }
}

/// Returns the second field of a `schedstat` file.
fn waited(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_thread_that_ends_leaves_its_time_in_the_sum() {
        let mut sum = RunQueueTime::default();
        assert_eq!(sum.add([]), None);
        assert_eq!(sum.add([(1, MS(10)), (2, MS(5))]), Some(MS(15)));
        assert_eq!(sum.add([(1, MS(12))]), Some(MS(17)));
        // Another thread with the number of the one that ended; then one with the number of a thread that still ran.
        assert_eq!(sum.add([(1, MS(12)), (2, MS(1))]), Some(MS(18)));
        assert_eq!(sum.add([(1, MS(2)), (2, MS(1))]), Some(MS(20)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_that_fight_for_the_cores_wait() {
        let mut sum = RunQueueTime::default();
        let before = sum.read().expect("linux");
        let threads = std::thread::available_parallelism().map_or(1, usize::from) * 3;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let began = std::time::Instant::now();
                    while began.elapsed() < MS(200) {}
                });
            }
            // While they run: a thread that has ended is not seen.
            std::thread::sleep(MS(150));
            let waited = sum.read().expect("linux") - before;
            assert!(waited >= MS(50), "{waited:?}");
        });
    }
}
