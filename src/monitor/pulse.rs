//! [`Pulse`]: the last quarter of an hour of the service in steps of 10 s, and its CPU by the minute over a week.
//!
//! The page draws it. The trends' minutes are too coarse for a quarter of an hour, and hold no CPU. Its size is bounded by time.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    names,
    store::{GridSum, History, Moment, Tiers},
};

/// Length of a step, in seconds.
pub(crate) const STEP: u64 = 10;
/// Steps that are kept: a quarter of an hour, with one before it.
const STEPS: usize = 91;
/// Minutes whose CPU is kept: a week.
const MINUTES: usize = 7 * 24 * 60;

/// One step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// When it began, in seconds since the Unix epoch.
    pub(crate) at: u64,
    pub(crate) count: u64,
    /// Requests that failed through the service's own fault.
    pub(crate) errors: u64,
    /// For how long requests were measured.
    pub(crate) measured: Duration,
    /// Durations in seconds; `None` without requests.
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) memory_bytes: Option<f64>,
    /// CPU time over time passed; 1 is one core.
    pub(crate) cpu: Option<f64>,
}

/// A mean that is being made.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: f64, weight: f64) {
        (self.sum, self.weight) = (self.sum + value * weight, self.weight + weight);
    }

    fn get(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// What the ticks of the step under way have added up to.
#[derive(Debug, Default)]
struct UnderWay {
    step: Step,
    grid: GridSum,
    memory: Mean,
    cpu: Mean,
}

impl UnderWay {
    fn finished(&self) -> Step {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| self.grid.quantile(q));
        Step { p50, p95, p99, memory_bytes: self.memory.get(), cpu: self.cpu.get(), ..self.step.clone() }
    }
}

/// The last quarter of an hour, and the CPU of a week.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    steps: VecDeque<Step>,
    under_way: UnderWay,
    /// Minute since the Unix epoch, and the CPU in it.
    cpu: VecDeque<(u64, f32)>,
    minute: (u64, Mean),
    /// CPU seconds of the process at the last tick, as the history counts them.
    cpu_seconds: Option<f64>,
    last_tick: Option<Instant>,
}

impl Pulse {
    /// Records the latest tick of `history`, which `tiers` has recorded.
    pub(crate) fn record(&mut self, history: &History, tiers: &Tiers, moment: Moment, now: Instant) {
        let took = self.last_tick.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let wall = moment.wall.saturating_sub(took / 2).as_secs();
        self.advance(wall);
        let UnderWay { step, grid, memory, cpu } = &mut self.under_way;
        tiers.visit_latest(history, |requests| {
            step.count += u64::from(requests.count);
            step.errors += u64::from(requests.count) * u64::from(requests.failed);
            grid.add_count(requests.bucket, u64::from(requests.count));
        });
        if moment.measuring {
            step.measured += took;
        }
        if let Some(bytes) = moment.resident_bytes {
            memory.add(bytes, took.as_secs_f64());
        }
        let counted: f64 = history.total().series(names::PROCESS_CPU.name).map(|series| series.increase()).sum();
        let before = self.cpu_seconds.replace(counted).filter(|before| *before <= counted);
        if let Some(used) = before.map(|before| counted - before).filter(|_| !took.is_zero() && counted > 0.0) {
            let ratio = used / took.as_secs_f64();
            cpu.add(ratio, took.as_secs_f64());
            self.minute.1.add(ratio, took.as_secs_f64());
        }
    }

    /// Ends the step and the minute under way where the time has left them.
    fn advance(&mut self, wall: u64) {
        let at = wall / STEP * STEP;
        if self.under_way.step.at != at {
            let before = std::mem::take(&mut self.under_way);
            if before.step.at != 0 {
                self.steps.push_back(before.finished());
            }
            self.under_way.step.at = at;
        }
        // Also where the clock was set back: what lies ahead of it is not of this time.
        self.steps.retain(|step| step.at < at && step.at + STEP * STEPS as u64 > at);
        let minute = wall / 60;
        if self.minute.0 != minute {
            let (before, mean) = std::mem::replace(&mut self.minute, (minute, Mean::default()));
            self.cpu.extend(mean.get().map(|mean| (before, mean as f32)));
        }
        let oldest = minute.saturating_sub(MINUTES as u64);
        while self.cpu.front().is_some_and(|(first, _)| *first < oldest || *first >= minute) {
            self.cpu.pop_front();
        }
    }

    /// Forgets what was measured before a clear.
    pub(crate) fn clear(&mut self) {
        *self = Self { cpu: std::mem::take(&mut self.cpu), last_tick: self.last_tick, ..Self::default() };
    }

    /// Returns the steps, the oldest first, the one under way last.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let last = (self.under_way.step.at != 0).then(|| self.under_way.finished());
        self.steps.iter().cloned().chain(last).collect()
    }

    /// Returns the mean CPU in each of `count` stretches of `width` from `from` on, since the Unix epoch.
    pub(crate) fn cpu(&self, from: Duration, width: Duration, count: usize) -> Vec<Option<f64>> {
        let mut means = vec![Mean::default(); count];
        for (minute, cpu) in &self.cpu {
            // By its middle.
            let Some(after) = Duration::from_secs(minute * 60 + 30).checked_sub(from) else { continue };
            let place = (after.as_nanos() / width.as_nanos().max(1)) as usize;
            if let Some(mean) = means.get_mut(place) {
                mean.add(f64::from(*cpu), 1.0);
            }
        }
        means.into_iter().map(Mean::get).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Monitor, monitor::Core};

    fn of(core: &Core) -> Vec<Step> {
        core.pulse()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarter_of_an_hour_is_kept_and_a_stop_is_a_gap() {
        let monitor = Monitor::builder().build().expect("good settings");
        let core = monitor.core();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(of(core).iter().all(|step| step.count == 0 && step.p95.is_none()));
        assert!((5..=8).contains(&of(core).len()), "{}", of(core).len());
        core.instruments().set_enabled(false);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(of(core).last().is_some_and(|step| step.measured.is_zero()), "nothing is measured");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let steps = of(core);
        assert!((STEPS - 1..=STEPS + 1).contains(&steps.len()), "{}", steps.len());
        assert!(steps.windows(2).all(|pair| pair[1].at == pair[0].at + STEP), "the oldest first");
    }

    #[test]
    fn the_cpu_of_each_stretch_is_the_mean_of_its_minutes() {
        let cpu = (0..10).map(|minute| (100 + minute, minute as f32)).collect();
        let pulse = Pulse { cpu, ..Pulse::default() };
        let means = pulse.cpu(Duration::from_secs(100 * 60), Duration::from_secs(300), 3);
        assert_eq!(means, [Some(2.0), Some(7.0), None]);
    }
}
