//! [`Core`]: the parts of a monitor, and what one tick does with them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Control, MonitorBuilder};
use crate::{
    context::Instruments,
    names,
    store::{History, MonitorRecorder, Window},
};

/// The parts of a monitor.
#[derive(Debug)]
pub(crate) struct Core {
    instruments: Arc<Instruments>,
    recorder: MonitorRecorder,
    history: Mutex<History>,
    control: Control,
    interval: Duration,
}

impl Core {
    pub(super) fn new(settings: &MonitorBuilder, instruments: Arc<Instruments>, recorder: MonitorRecorder) -> Self {
        Self {
            instruments,
            recorder,
            history: Mutex::new(History::new(Instant::now(), [names::DEFAULT_WINDOW])),
            control: settings.control.clone(),
            interval: settings.evaluation_interval,
        }
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    pub(crate) fn recorder(&self) -> &MonitorRecorder {
        &self.recorder
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Takes a snapshot and judges it.
    pub(super) fn tick(&self, now: Instant) {
        let index = self.recorder.index();
        self.history().tick(&index, now);
        self.instruments.slow_requests().expire(now);
    }

    /// Returns everything since the start or the last clear.
    pub(crate) fn total(&self, now: Instant) -> Window {
        let index = self.recorder.index();
        self.history().total_now(&index, now)
    }

    /// Returns the last `length`.
    pub(crate) fn window(&self, now: Instant, length: Duration) -> Window {
        let index = self.recorder.index();
        self.history().window_now(&index, now, length)
    }

    /// Starts all windows anew; what Prometheus sees stays as it is.
    pub(crate) fn clear(&self, now: Instant) {
        let index = self.recorder.index();
        self.history().clear(&index, now);
        self.instruments.slow_requests().clear();
    }

    /// Never taken on the request path.
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
