//! Ctrl-C and SIGTERM. The first one ends the run and keeps its result; the second one ends the process.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use crate::{
    engine::{Stop, StopReason},
    lock::lock,
};

/// Passes a signal on to the current run, and to every later one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<InterruptState>);

#[derive(Debug, Default)]
struct InterruptState {
    count: AtomicU32,
    current: Mutex<Option<Stop>>,
}

impl Interrupt {
    /// Listens for the signals.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        // Set before Goose starts: Goose then leaves the signals alone. It fails in a host program that has a handler
        // already, and then Ctrl-C is that program's business.
        _ = ctrlc::set_handler(move || handler.receive());
        interrupt
    }

    /// Returns the stop of a run that begins now. It is requested at once if a signal has been received before.
    pub(crate) fn new_stop(&self) -> Stop {
        let stop = Stop::default();
        *lock(&self.0.current) = Some(stop.clone());
        if self.is_received() {
            stop.request(StopReason::Interrupted);
        }
        stop
    }

    /// Whether a signal has been received.
    pub(crate) fn is_received(&self) -> bool {
        self.0.count.load(Ordering::Acquire) > 0
    }

    fn receive(&self) {
        if self.0.count.fetch_add(1, Ordering::AcqRel) > 0 {
            // A second Ctrl-C asks to wait for nothing, not even for the result.
            std::process::exit(130);
        }
        if let Some(stop) = lock(&self.0.current).as_ref() {
            stop.request(StopReason::Interrupted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_before_and_after_the_signal_are_stopped() {
        let interrupt = Interrupt::default();
        let before = interrupt.new_stop();
        interrupt.receive();
        let after = interrupt.new_stop();
        assert_eq!(before.reason(), Some(StopReason::Interrupted));
        assert_eq!(after.reason(), Some(StopReason::Interrupted));
    }
}
