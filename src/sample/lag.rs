//! [`SchedulingLag`]: how long a task that is ready waits for a worker.
//!
//! A timer that is due and a socket that is readable both wait for a worker that polls them. A timer knows since when
//! it is due, so its wait is measurable, and every other ready task waits as long: behind a handler that blocks, or
//! behind a queue that is too long. tokio's timers have a resolution of one millisecond, so shorter waits are not seen.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use metrics::{Counter, Histogram, Recorder};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    context::{labelled, nanos, polls::Polls},
    names,
};

/// Time between two measurements. Ten a second cost nothing, and a block of all workers that lasts longer is always
/// seen.
const PERIOD: Duration = Duration::from_millis(100);

/// Measures the scheduling lag of the runtime that polls it.
#[derive(Debug)]
pub(crate) struct SchedulingLag {
    lag: Histogram,
    polls: Arc<Polls>,
    /// Nanoseconds of long lag. Only windows read these series.
    tracked: Counter,
    untracked: Counter,
}

impl SchedulingLag {
    /// Registers the histogram.
    pub(crate) fn new(recorder: &dyn Recorder, window_recorder: &dyn Recorder, polls: Arc<Polls>) -> Self {
        let [tracked, untracked] = [names::TRACKED, names::UNTRACKED]
            .map(|origin| labelled::counter(window_recorder, &names::LAG_NANOS, &[(names::KIND, origin.into())]));
        let lag = labelled::histogram(recorder, &names::TOKIO_SCHEDULING_LAG, &[]);
        Self { lag, polls, tracked, untracked }
    }

    /// Records a lag. One that is long is told apart by whether a request or a tracked task blocked a worker meanwhile: if none
    /// did, it was work that nothing tracks, or the machine.
    fn record(&self, lag: Duration) {
        self.lag.record(lag.as_secs_f64());
        if lag >= names::BLOCKING {
            let origin = if self.polls.blocked_within(lag) { &self.tracked } else { &self.untracked };
            origin.increment(nanos(lag));
        }
    }

    /// Measures until `shutdown` is ready. Must run as a task of its own: inside another one it would measure that
    /// one's work.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        // After a block, continue from now: the missed ticks would count the same block again.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                due = ticks.tick() => self.record(due.elapsed()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
    use tokio::{sync::oneshot, time::advance};

    use super::*;

    fn recorded(snapshotter: &Snapshotter) -> Vec<f64> {
        let mut taken = snapshotter.snapshot().into_vec();
        match taken.pop() {
            Some((key, _, _, DebugValue::Histogram(values))) => {
                assert_eq!(key.key().name(), "pinchpoint_tokio_scheduling_lag_seconds");
                values.into_iter().map(|value| value.into_inner()).collect()
            }
            other => panic!("one histogram, not {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lag_is_the_time_from_due_to_polled() {
        let recorder = DebuggingRecorder::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let lag = SchedulingLag::new(&recorder, &DebuggingRecorder::new(), Arc::default());
        let task = tokio::spawn(lag.run(async move { drop(stopped.await) }));
        tokio::task::yield_now().await;

        // Nothing blocks: the clock moves to the timer and no further.
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(recorded(&recorder.snapshotter()), [0.0, 0.0]);

        // Due in 50 ms, and not polled for 750 ms.
        advance(Duration::from_millis(750)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let seen = recorded(&recorder.snapshotter());
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!((seen[0] - 0.7).abs() < 0.002, "{seen:?}");

        // The block is not measured twice: the next measurement is a whole period later and on time.
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(recorded(&recorder.snapshotter()).len(), 1);

        drop(stop);
        task.await.expect("joined");
    }

    /// Returns the nanoseconds of lag at whose time a request or a tracked task blocked a worker, and of the rest.
    fn origins(snapshotter: &Snapshotter) -> [u64; 2] {
        let taken = snapshotter.snapshot().into_vec();
        [names::TRACKED, names::UNTRACKED].map(|origin| {
            let is = |key: &metrics_util::CompositeKey| key.key().labels().any(|label| label.value() == origin);
            match taken.iter().find(|(key, ..)| is(key)) {
                Some((_, _, _, DebugValue::Counter(nanos))) => *nanos,
                other => panic!("not a counter: {other:?}"),
            }
        })
    }

    #[test]
    fn lag_says_whether_a_request_or_a_task_blocked_a_worker_meanwhile() {
        let (window, polls) = (DebuggingRecorder::new(), Arc::<Polls>::default());
        let taken = window.snapshotter();
        let lag = SchedulingLag::new(&DebuggingRecorder::new(), &window, polls.clone());
        lag.record(Duration::from_millis(9));
        assert_eq!(origins(&taken), [0, 0], "nothing was late");
        lag.record(Duration::from_millis(50));
        assert_eq!(origins(&taken), [0, 50_000_000]);
        polls.blocked();
        lag.record(Duration::from_secs(3600));
        assert_eq!(origins(&taken)[0], 3_600_000_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_measurement_ends_at_once() {
        let lag = SchedulingLag::new(&DebuggingRecorder::new(), &DebuggingRecorder::new(), Arc::default());
        let before = Instant::now();
        lag.run(async {}).await;
        assert_eq!(Instant::now(), before);
    }
}
