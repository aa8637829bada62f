//! [`RuntimeSampler`]: the metrics of tokio's runtime that are available without `--cfg tokio_unstable`.

use metrics::{Gauge, Recorder};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::Sampler;
use crate::{context::labelled, names};

/// Samples the runtime that the service runs on.
#[derive(Debug)]
pub(crate) struct RuntimeSampler {
    metrics: RuntimeMetrics,
    workers: Gauge,
    alive_tasks: Gauge,
    global_queue: Gauge,
    #[cfg(target_has_atomic = "64")]
    by_worker: WorkerTotals,
}

/// Sums over the workers. tokio keeps them only on platforms with 64-bit atomics.
#[cfg(target_has_atomic = "64")]
#[derive(Debug)]
struct WorkerTotals {
    busy_seconds: Gauge,
    parks: metrics::Counter,
    parked: Gauge,
}

impl RuntimeSampler {
    /// Registers the runtime's metrics. Values of single workers are summed: a label per worker would multiply the
    /// series, and tasks move between workers anyway.
    pub(crate) fn new(recorder: &dyn Recorder, runtime: &Handle) -> Self {
        let mut sampler = Self {
            metrics: runtime.metrics(),
            workers: labelled::gauge(recorder, &names::TOKIO_WORKERS, &[]),
            alive_tasks: labelled::gauge(recorder, &names::TOKIO_ALIVE_TASKS, &[]),
            global_queue: labelled::gauge(recorder, &names::TOKIO_GLOBAL_QUEUE, &[]),
            #[cfg(target_has_atomic = "64")]
            by_worker: WorkerTotals {
                busy_seconds: labelled::gauge(recorder, &names::TOKIO_WORKER_BUSY, &[]),
                parks: labelled::counter(recorder, &names::TOKIO_WORKER_PARKS, &[]),
                parked: labelled::gauge(recorder, &names::TOKIO_WORKERS_PARKED, &[]),
            },
        };
        sampler.sample();
        sampler
    }
}

impl Sampler for RuntimeSampler {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is an f64; no runtime has 2^53 tasks")]
    fn sample(&mut self) {
        let workers = self.metrics.num_workers();
        self.workers.set(workers as f64);
        self.alive_tasks.set(self.metrics.num_alive_tasks() as f64);
        self.global_queue.set(self.metrics.global_queue_depth() as f64);
        #[cfg(target_has_atomic = "64")]
        {
            let busy: std::time::Duration =
                (0..workers).map(|worker| self.metrics.worker_total_busy_duration(worker)).sum();
            self.by_worker.busy_seconds.set(busy.as_secs_f64());
            self.by_worker.parks.absolute((0..workers).map(|worker| self.metrics.worker_park_count(worker)).sum());
            // The count grows by one when a worker parks and again when it continues, so it is odd while parked.
            let is_parked = |worker: &usize| self.metrics.worker_park_unpark_count(*worker) % 2 == 1;
            self.by_worker.parked.set((0..workers).filter(is_parked).count() as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

    use super::*;

    fn values(snapshotter: &Snapshotter) -> HashMap<String, f64> {
        let value = |value| match value {
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Counter(value) => f64::from(u32::try_from(value).expect("small")),
            DebugValue::Histogram(_) => panic!("no histogram is sampled"),
        };
        let taken = snapshotter.snapshot().into_vec();
        taken.into_iter().map(|(key, _, _, debug)| (key.key().name().to_owned(), value(debug))).collect()
    }

    #[test]
    fn the_gauges_follow_the_runtime() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let mut sampler = RuntimeSampler::new(&recorder, runtime.handle());
        assert_eq!(values(&snapshotter)["pinchpoint_tokio_alive_tasks"], 0.0);

        let (release, held) = tokio::sync::watch::channel(());
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let mut held = held.clone();
                runtime.spawn(async move { held.changed().await })
            })
            .collect();
        // tokio updates the busy time when a worker parks.
        let burn = runtime.spawn(async {
            let until = std::time::Instant::now() + Duration::from_millis(30);
            while std::time::Instant::now() < until {}
        });
        runtime.block_on(burn).expect("joined");
        let mut after = HashMap::new();
        // A joined task stays alive for a moment, and workers park some time later.
        for _ in 0..1_000_000 {
            sampler.sample();
            after = values(&snapshotter);
            let idle = after["pinchpoint_tokio_alive_tasks"] == 3.0 && after["pinchpoint_tokio_workers_parked"] == 2.0;
            if after["pinchpoint_tokio_worker_busy_seconds_total"] >= 0.03 && idle {
                break;
            }
            std::thread::yield_now();
        }
        assert_eq!(after["pinchpoint_tokio_workers"], 2.0);
        assert_eq!(after["pinchpoint_tokio_alive_tasks"], 3.0);
        assert_eq!(after["tokio_global_queue_depth"], 0.0);
        assert!(after["pinchpoint_tokio_worker_busy_seconds_total"] >= 0.03, "{after:?}");
        assert!(after["pinchpoint_tokio_worker_parks_total"] >= 1.0, "{after:?}");
        assert_eq!(after["pinchpoint_tokio_workers_parked"], 2.0, "all tasks wait");
        let (hold, begun) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel());
        runtime.spawn(async move {
            begun.0.send(()).expect("the test waits");
            let _ = hold.1.recv();
        });
        begun.1.recv().expect("it runs");
        sampler.sample();
        assert!(values(&snapshotter)["pinchpoint_tokio_workers_parked"] < 2.0, "one is held by a task");
        drop(hold.0);

        release.send(()).expect("tasks wait");
        for task in tasks {
            runtime.block_on(task).expect("joined").expect("sent");
        }
        runtime.shutdown_timeout(Duration::from_secs(60));
        sampler.sample();
        assert_eq!(values(&snapshotter)["pinchpoint_tokio_alive_tasks"], 0.0);
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_is_sampled() {
        let recorder = DebuggingRecorder::new();
        RuntimeSampler::new(&recorder, &Handle::current());
        assert_eq!(values(&recorder.snapshotter())["pinchpoint_tokio_workers"], 1.0);
    }
}
