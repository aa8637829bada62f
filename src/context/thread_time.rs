//! [`ThreadTime`]: how long this thread has run and how long it waited for a CPU, both since it began.
//!
//! Linux only. What cannot be read is absent: without the wait for a CPU, a thread that a busy machine kept from running could
//! not be told from one that sleeps, so there is no value at all then.

use std::time::Duration;

/// The times of the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadTime {
    /// On a CPU.
    cpu: Duration,
    /// Ready to run and not running, because other threads or a quota had the CPU.
    queued: Duration,
}

/// Where the time of a poll went. The parts add up to `wall`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollTime {
    pub(crate) wall: Duration,
    pub(crate) computing: Duration,
    /// Ready to run and not running.
    pub(crate) cpu_wait: Duration,
    /// In a system call or a page fault that waits: a lock, a sleep, a file, a socket.
    pub(crate) blocked: Duration,
}

impl ThreadTime {
    /// Returns the times of this thread; `None` where the system does not report them.
    pub(crate) fn now() -> Option<Self> {
        read::now()
    }

    /// Returns how long the thread waited for a CPU from `self` to `later`.
    pub(super) fn queued_until(self, later: Self) -> Duration {
        later.queued.saturating_sub(self.queued)
    }

    /// Divides `wall`, which passed on this thread from `self` to `later`.
    ///
    /// The clocks differ, and reading them takes time of its own, so that a part can exceed what is left by a little: the time on
    /// a CPU is the most exact and counts first.
    pub(crate) fn divide(self, later: Self, wall: Duration) -> PollTime {
        let computing = later.cpu.saturating_sub(self.cpu).min(wall);
        let cpu_wait = later.queued.saturating_sub(self.queued).min(wall - computing);
        PollTime { wall, computing, cpu_wait, blocked: wall - computing - cpu_wait }
    }
}

/// Returns the kernel's number of this thread; `None` where it has none in `/proc`.
pub(crate) fn thread_id() -> Option<u32> {
    read::thread_id()
}

#[cfg(target_os = "linux")]
mod read {
    use std::{fs::File, os::unix::fs::FileExt, time::Duration};

    use nix::time::{ClockId, clock_gettime};

    use super::ThreadTime;

    /// What is read of one thread.
    struct ThisThread {
        id: Option<u32>,
        /// Stays open: to open it costs ten times as much as to read it.
        schedstat: Option<File>,
    }

    impl ThisThread {
        fn open() -> Self {
            let link = std::fs::read_link("/proc/thread-self").ok();
            let id = link.and_then(|path| path.file_name()?.to_str()?.parse().ok());
            Self { id, schedstat: File::open("/proc/thread-self/schedstat").ok() }
        }
    }

    thread_local! {
        static THIS: ThisThread = ThisThread::open();
    }

    pub(super) fn thread_id() -> Option<u32> {
        THIS.try_with(|this| this.id).ok().flatten()
    }

    pub(super) fn now() -> Option<ThreadTime> {
        let mut text = [0; 64];
        let length = THIS.try_with(|this| this.schedstat.as_ref()?.read_at(&mut text, 0).ok()).ok().flatten()?;
        let queued = queued(text.get(..length)?)?;
        // Not the first field of the file: the kernel updates that with its scheduler's tick only, every few milliseconds.
        let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
        Some(ThreadTime { cpu: cpu.into(), queued })
    }

    /// Returns the second field of a `schedstat` file, nanoseconds on a run queue.
    ///
    /// Source: the kernel's document sched-stats.
    fn queued(schedstat: &[u8]) -> Option<Duration> {
        let text = std::str::from_utf8(schedstat).ok()?;
        text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_second_field_is_the_wait() {
            #[track_caller]
            fn check(text: &str, expected: Option<u64>) {
                assert_eq!(queued(text.as_bytes()), expected.map(Duration::from_nanos), "of {text:?}");
            }
            check("2312619 4711 1\n", Some(4711));
            check("0 0 0\n", Some(0));
            check("2312619\n", None);
            check("", None);
            check("a b c", None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod read {
    use super::ThreadTime;

    pub(super) fn thread_id() -> Option<u32> {
        None
    }

    pub(super) fn now() -> Option<ThreadTime> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn at(cpu: u64, queued: u64) -> ThreadTime {
        ThreadTime { cpu: MS(cpu), queued: MS(queued) }
    }

    #[test]
    fn the_parts_of_a_poll_add_up_to_it() {
        #[track_caller]
        fn check(later: ThreadTime, wall: u64, expected: [u64; 3]) {
            let parts = at(100, 10).divide(later, MS(wall));
            assert_eq!([parts.computing, parts.cpu_wait, parts.blocked], expected.map(MS));
            assert_eq!(parts.computing + parts.cpu_wait + parts.blocked, parts.wall);
        }
        check(at(150, 10), 50, [50, 0, 0]);
        check(at(100, 10), 50, [0, 0, 50]);
        check(at(120, 20), 50, [20, 10, 20]);
        // The clocks differ: no part is negative, and none is more than what is left.
        check(at(151, 11), 50, [50, 0, 0]);
        check(at(140, 30), 50, [40, 10, 0]);
        check(at(99, 9), 50, [0, 0, 50]);
    }
}
