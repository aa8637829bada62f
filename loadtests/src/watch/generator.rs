//! [`GeneratorWatch`]: whether the generator itself was the bottleneck.
//!
//! It polls two signs once a second: the process uses nearly all the CPU that it may use, or its own timers fire late.
//! Either means that latencies contain the generator's own waiting. A delay that is nothing beside the latencies is none,
//! and where the delay comes from other programs that take the machine's CPU, the reason says so: then not the generator is
//! too small, but the machine is busy.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::{engine::Hindrances, limits::open_files, lock::lock, span::show_seconds};

/// Time between the timers whose lateness is measured.
const LAG_TICK: Duration = Duration::from_millis(20);
/// A timer this late means that all worker threads were busy, or got no CPU; it counts where latencies are not so long that
/// this is nothing.
const LAGGING: Duration = Duration::from_millis(20);
/// Share of late timers above which it is more than the odd hiccup of a machine that does other things too.
const OFTEN: f64 = 0.2;
/// Share of its cores above which a process waits for them.
const BUSY: f64 = 0.95;
/// Share of the machine's CPU above which a program waits for it.
const MACHINE_BUSY: f64 = 0.9;
/// Share of the seconds above which it is no accident.
const MANY: f64 = 0.3;
/// Share of the requests that were sent late above which latencies are the generator's own.
const MANY_LATE: f64 = 0.01;
/// Late requests below which it may have been a single hiccup, however few requests there were.
const LEAST_LATE: u64 = 5;
/// Seconds between two polls; in a shorter time the system's CPU clock ticks too seldom for a share.
const SHORTEST_POLL: f64 = 0.45;

/// How the generator fared during a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorHealth {
    /// CPU time used, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Cores that the process may use.
    pub(crate) cores: usize,
    /// Mean share of these cores that was used, 0 to 1.
    pub(crate) cpu_ratio: f64,
    /// Time in which nearly all of these cores were used, in seconds.
    pub(crate) busy_seconds: f64,
    /// Time that was watched, in seconds.
    pub(crate) seconds: f64,
    /// Greatest lateness of a timer.
    pub(crate) worst_lag: Duration,
    /// Time in which many timers were late, in seconds.
    pub(crate) lagging_seconds: f64,
    /// Mean share of the machine's CPU that other programs used, 0 to 1.
    pub(crate) others_ratio: f64,
    /// Whether other programs kept the machine so busy that the generator had to wait for a CPU.
    pub(crate) is_machine_busy: bool,
    /// Greatest resident memory, in bytes.
    pub(crate) peak_memory_bytes: u64,
    /// Why it counts as saturated.
    pub(crate) saturation: Option<String>,
}

impl GeneratorHealth {
    /// Returns whether the generator, not the service, limited the run.
    pub(crate) fn is_saturated(&self) -> bool {
        self.saturation.is_some()
    }

    fn share(&self, seconds: f64) -> f64 {
        if self.seconds > 0.0 { seconds / self.seconds } else { 0.0 }
    }
}

/// Watches the generator from start to end of a run.
#[derive(Debug)]
pub(crate) struct GeneratorWatch {
    /// Absent on a system that does not report a process's CPU time.
    process: Option<(System, Pid)>,
    health: GeneratorHealth,
    started: Instant,
    cpu_at_start: f64,
    /// When it last polled.
    polled: Instant,
    cpu_at_poll: f64,
    polls: Vec<Poll>,
    lag: Arc<Lag>,
}

/// What one poll saw.
#[derive(Clone, Copy, Debug)]
struct Poll {
    /// Since the poll before, in seconds.
    span: f64,
    /// What the share [`OFTEN`] of the timers was late by, or more; the whole span where none fired.
    lag: Duration,
    /// Share of the machine's CPU that the process used, and share that all programs used, 0 to 1.
    own_ratio: f64,
    all_ratio: f64,
}

/// How late timers were since the last poll.
#[derive(Debug, Default)]
struct Lag {
    late_by: Mutex<Vec<Duration>>,
    over: AtomicBool,
}

impl GeneratorWatch {
    /// Starts watching. Must be called on the runtime that sends the load, whose timers it measures.
    pub(crate) fn start() -> Self {
        let lag = Arc::new(Lag::default());
        tokio::spawn(measure_lag(Arc::clone(&lag)));
        let now = Instant::now();
        let mut watch = Self {
            process: sysinfo::get_current_pid().ok().map(|pid| (System::new(), pid)),
            health: GeneratorHealth {
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                ..GeneratorHealth::default()
            },
            started: now,
            cpu_at_start: 0.0,
            polled: now,
            cpu_at_poll: 0.0,
            polls: Vec::new(),
            lag,
        };
        // The system counts from the poll before.
        watch.machine_ratio();
        watch.cpu_at_start = watch.cpu_seconds();
        watch.cpu_at_poll = watch.cpu_at_start;
        watch
    }

    /// Adds the time since the last poll. Does nothing if that was a moment ago.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        let span = now.duration_since(self.polled).as_secs_f64();
        // Before the system is asked: a profile polls after every request.
        if span < SHORTEST_POLL {
            return;
        }
        let cpu = self.cpu_seconds();
        let own_cores = (cpu - self.cpu_at_poll) / span;
        let mut late_by = std::mem::take(&mut *lock(&self.lag.late_by));
        self.health.seconds += span;
        self.health.busy_seconds += if own_cores / self.health.cores as f64 > BUSY { span } else { 0.0 };
        self.health.worst_lag = self.health.worst_lag.max(late_by.iter().copied().max().unwrap_or_default());
        let (all_ratio, machine) = self.machine_ratio();
        let lag = often_late_by(&mut late_by, span);
        self.polls.push(Poll { span, lag, own_ratio: own_cores / machine, all_ratio });
        (self.polled, self.cpu_at_poll) = (now, cpu);
    }

    /// Stops watching and returns the result; `hindrances` are what the engine could not do.
    pub(crate) fn finish(mut self, hindrances: &Hindrances) -> GeneratorHealth {
        if self.health.seconds == 0.0 {
            self.look();
        }
        let elapsed = self.started.elapsed().as_secs_f64();
        let mut health = self.health.clone();
        health.cpu_seconds = self.cpu_seconds() - self.cpu_at_start;
        health.cpu_ratio = health.cpu_seconds / elapsed.max(1e-9) / health.cores as f64;
        let limit = LAGGING.max(hindrances.late_after);
        health.lagging_seconds = self.polls.iter().filter(|poll| poll.lag > limit).map(|poll| poll.span).sum();
        (health.others_ratio, health.is_machine_busy) = busy_machine(&self.polls);
        health.saturation = saturation(&health, hindrances);
        health
    }

    fn cpu_seconds(&mut self) -> f64 {
        let Some((system, pid)) = &mut self.process else { return 0.0 };
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[*pid]), false, kind);
        let Some(process) = system.process(*pid) else { return 0.0 };
        self.health.peak_memory_bytes = self.health.peak_memory_bytes.max(process.memory());
        process.accumulated_cpu_time() as f64 / 1000.0
    }

    /// Returns the share of the machine's CPU that all programs used since the last call, and how many cores it has. These
    /// may be more than the process may use.
    fn machine_ratio(&mut self) -> (f64, f64) {
        let Some((system, _)) = &mut self.process else { return (0.0, self.health.cores as f64) };
        system.refresh_cpu_usage();
        (f64::from(system.global_cpu_usage()) / 100.0, system.cpus().len().max(1) as f64)
    }
}

/// Returns what the share [`OFTEN`] of the timers was late by, or more. The timers of a runtime that is stuck do not fire at
/// all.
fn often_late_by(late_by: &mut [Duration], span: f64) -> Duration {
    late_by.sort_unstable();
    let at = (late_by.len() as f64 * (1.0 - OFTEN)).ceil() as usize;
    late_by.get(at.saturating_sub(1)).copied().unwrap_or(Duration::from_secs_f64(span))
}

/// Returns the share of the machine that other programs used, and whether these kept it busy: most of the time hardly any
/// CPU was left, and they used more than the generator did.
fn busy_machine(polls: &[Poll]) -> (f64, bool) {
    let seconds: f64 = polls.iter().map(|poll| poll.span).sum();
    let others = |poll: &Poll| (poll.all_ratio - poll.own_ratio).max(0.0);
    let used: f64 = polls.iter().map(|poll| others(poll) * poll.span).sum();
    let is_busy = |poll: &&Poll| poll.all_ratio >= MACHINE_BUSY && others(poll) > poll.own_ratio;
    let busy: f64 = polls.iter().filter(is_busy).map(|poll| poll.span).sum();
    if seconds > 0.0 { (used / seconds, busy > MANY * seconds) } else { (0.0, false) }
}

impl Drop for GeneratorWatch {
    fn drop(&mut self) {
        self.lag.over.store(true, Ordering::Relaxed);
    }
}

/// Why the generator counts as saturated: what it could not send, then what it could not send in time.
fn saturation(health: &GeneratorHealth, hindrances: &Hindrances) -> Option<String> {
    unsent(hindrances)
        .or_else(|| busy(health))
        .or_else(|| late(health, hindrances).map(|late| format!("{late}{}", because_of(health))))
}

fn late(health: &GeneratorHealth, hindrances: &Hindrances) -> Option<String> {
    late_sends(hindrances).or_else(|| late_timers(health, hindrances))
}

/// Returns who used the CPU that a late generator was waiting for, if it was not the generator.
fn because_of(health: &GeneratorHealth) -> String {
    if !health.is_machine_busy {
        return String::new();
    }
    format!("; the machine was busy with other programs, which used {:.0} % of its CPU", health.others_ratio * 100.0)
}

fn unsent(hindrances: &Hindrances) -> Option<String> {
    let exhausted = hindrances.exhausted;
    if exhausted.descriptors > 0 {
        let limit = open_files().map_or_else(String::new, |limit| format!(" ({limit})"));
        return Some(format!(
            "{} requests could not be sent at the limit of open files{limit}; `ulimit -n` sets it",
            exhausted.descriptors
        ));
    }
    if exhausted.ports > 0 {
        return Some(format!(
            "{} requests could not be sent, since no local port was left for a connection to the target",
            exhausted.ports
        ));
    }
    let missing = hindrances.missing_users.as_ref()?;
    let (users, plural) = (missing.users, if missing.users == 1 { "" } else { "s" });
    Some(format!("{users} user{plural} could not be made: {}", missing.why))
}

fn busy(health: &GeneratorHealth) -> Option<String> {
    let plural = if health.cores == 1 { "" } else { "s" };
    (health.share(health.busy_seconds) > MANY).then(|| {
        format!(
            "it used {:.0} % of its {} core{plural}, nearly all of it in {:.0} of {:.0} seconds",
            health.cpu_ratio * 100.0,
            health.cores,
            health.busy_seconds,
            health.seconds
        )
    })
}

fn late_sends(hindrances: &Hindrances) -> Option<String> {
    let arrivals = hindrances.arrivals?;
    let count = arrivals.late_by_generator + arrivals.missed;
    let late = count as f64 / arrivals.scheduled.max(1) as f64;
    let percent = late * 100.0;
    (late > MANY_LATE && count >= LEAST_LATE)
        .then(|| format!("{percent:.1} % of the requests were sent late, or not at all, although a user was free"))
}

fn late_timers(health: &GeneratorHealth, hindrances: &Hindrances) -> Option<String> {
    let worst = show_seconds(health.worst_lag.as_secs_f64());
    (health.share(health.lagging_seconds) > MANY).then(|| {
        format!(
            "its timers were up to {worst} late, and in {:.0} of {:.0} seconds often by more than {} ms",
            health.lagging_seconds,
            health.seconds,
            LAGGING.max(hindrances.late_after).as_millis()
        )
    })
}

async fn measure_lag(lag: Arc<Lag>) {
    while !lag.over.load(Ordering::Relaxed) {
        let due = Instant::now() + LAG_TICK;
        tokio::time::sleep_until(due.into()).await;
        // A timer of the runtime is up to a millisecond coarse.
        let late = due.elapsed().saturating_sub(Duration::from_millis(1));
        lock(&lag.late_by).push(late);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Arrivals, MissingUsers};

    fn health(busy: f64, lagging: f64) -> GeneratorHealth {
        GeneratorHealth { seconds: 10.0, busy_seconds: busy, lagging_seconds: lagging, cores: 1, ..Default::default() }
    }

    fn arrived(arrivals: Arrivals) -> Hindrances {
        Hindrances { arrivals: Some(arrivals), ..Hindrances::default() }
    }

    #[test]
    fn a_few_bad_seconds_are_no_saturation() {
        let none = Hindrances::default();
        assert_eq!(saturation(&health(3.0, 3.0), &none), None);
        assert!(saturation(&health(4.0, 0.0), &none).is_some());
        assert!(saturation(&health(0.0, 4.0), &none).is_some());
    }

    #[test]
    fn late_sends_count_only_if_the_generator_is_to_blame() {
        let arrivals = Arrivals { scheduled: 1000, late: 500, late_by_generator: 5, ..Arrivals::default() };
        assert_eq!(saturation(&health(0.0, 0.0), &arrived(arrivals)), None);
        let arrivals = Arrivals { late_by_generator: 11, ..arrivals };
        assert!(saturation(&health(0.0, 0.0), &arrived(arrivals)).is_some());
        let arrivals = Arrivals { late_by_generator: 5, missed: 6, ..arrivals };
        assert!(saturation(&health(0.0, 0.0), &arrived(arrivals)).unwrap().contains("1.1 %"));
    }

    #[test]
    fn a_hiccup_among_few_arrivals_is_no_saturation() {
        let few =
            Arrivals { scheduled: 20, late: 4, late_by_generator: 3, dropped: 1, missed: 1, ..Arrivals::default() };
        assert_eq!(saturation(&health(0.0, 0.0), &arrived(few)), None);
        let more = Arrivals { late_by_generator: 4, ..few };
        assert!(saturation(&health(0.0, 0.0), &arrived(more)).is_some());
    }

    #[test]
    fn users_that_could_not_be_made_are_told() {
        let missing_users = Some(MissingUsers { users: 2, why: "no certificates".to_owned() });
        let told = saturation(&health(0.0, 0.0), &Hindrances { missing_users, ..Hindrances::default() });
        assert_eq!(told.unwrap(), "2 users could not be made: no certificates");
    }

    #[test]
    fn lag_is_what_many_timers_have() {
        let often = |late: &[u64]| {
            let mut late: Vec<Duration> = late.iter().map(|millis| Duration::from_millis(*millis)).collect();
            often_late_by(&mut late, 1.5).as_millis()
        };
        assert_eq!([often(&[0, 0, 0, 50, 0]), often(&[0, 40, 0, 50, 0]), often(&[])], [0, 40, 1500]);
    }

    #[test]
    fn a_machine_that_others_keep_busy_is_told_from_a_busy_generator() {
        let poll = |own_ratio, all_ratio| Poll { span: 1.0, lag: Duration::ZERO, own_ratio, all_ratio };
        let seen = |polls: &[Poll]| {
            let (others, is_busy) = busy_machine(polls);
            ((others * 100.0).round(), is_busy)
        };
        assert_eq!(seen(&[poll(0.05, 1.0), poll(0.05, 1.0)]), (95.0, true));
        assert_eq!(seen(&[poll(0.95, 1.0)]), (5.0, false));
        assert_eq!(seen(&[poll(0.05, 0.5)]), (45.0, false));
        // A moment in which something else ran explains nothing.
        assert_eq!(seen(&[poll(0.05, 1.0), poll(0.05, 0.1), poll(0.05, 0.1), poll(0.05, 0.1)]), (28.0, false));
        assert_eq!(seen(&[]), (0.0, false));
        let busy = GeneratorHealth { is_machine_busy: true, others_ratio: 0.9, ..health(0.0, 4.0) };
        let reason = saturation(&busy, &Hindrances::default()).unwrap();
        assert!(reason.ends_with("; the machine was busy with other programs, which used 90 % of its CPU"), "{reason}");
    }

    #[tokio::test]
    async fn watching_sees_the_process() {
        let mut watch = GeneratorWatch::start();
        tokio::time::sleep(Duration::from_millis(500)).await;
        watch.look();
        let health = watch.finish(&Hindrances::default());
        assert!(health.cores >= 1 && health.seconds > 0.4 && health.peak_memory_bytes > 1_000_000);
    }
}
