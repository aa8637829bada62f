//! Ctrl-C: the first ends the run and keeps its result, the second ends the process.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::{Stop, StopReason};

/// Somebody's wish to end, passed on to whatever run is going on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    count: AtomicU32,
    current: Mutex<Option<Stop>>,
}

impl Interrupt {
    /// Listens for Ctrl-C and the signals to end.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        let heard = interrupt.clone();
        // Before Goose sets its own handler, which then stays away. It fails where a host program has one already, and
        // then Ctrl-C is that program's business.
        _ = ctrlc::set_handler(move || heard.hear());
        interrupt
    }

    /// A stop for a run that begins now; it is requested at once if somebody has interrupted before.
    pub(crate) fn new_stop(&self) -> Stop {
        let stop = Stop::default();
        *self.0.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop.clone());
        if self.is_heard() {
            stop.request(StopReason::Interrupted);
        }
        stop
    }

    /// Whether somebody wished to end.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.count.load(Ordering::Acquire) > 0
    }

    fn hear(&self) {
        if self.0.count.fetch_add(1, Ordering::AcqRel) > 0 {
            // Whoever presses Ctrl-C twice wants no more waiting.
            std::process::exit(130);
        }
        if let Some(stop) = self.0.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
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
        interrupt.hear();
        let after = interrupt.new_stop();
        assert_eq!(before.reason(), Some(StopReason::Interrupted));
        assert_eq!(after.reason(), Some(StopReason::Interrupted));
    }
}
