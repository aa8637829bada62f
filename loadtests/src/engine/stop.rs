//! The end of a run, asked for from anywhere and seen by every user.
//!
//! First no further request is sent; when the grace is over, those in flight are given up. The first reason wins.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StopReason {
    /// Its time was over, or all iterations done.
    Finished = 1,
    /// Ctrl-C, or a signal to end.
    Interrupted = 2,
    /// No request ever got a response.
    Unreachable = 3,
}

/// A request to end; clones are the same request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    reason: AtomicU8,
    changed: Notify,
    /// One end for each user with a request that might have to be given up.
    in_flight: Mutex<Vec<oneshot::Sender<()>>>,
}

impl Stop {
    /// Asks to end, unless that was asked before.
    pub(crate) fn request(&self, reason: StopReason) {
        let first = self.0.reason.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.0.changed.notify_waiters();
        }
    }

    /// Why the end was asked for, if it was.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        match self.0.reason.load(Ordering::Acquire) {
            0 => None,
            1 => Some(StopReason::Finished),
            2 => Some(StopReason::Interrupted),
            _ => Some(StopReason::Unreachable),
        }
    }

    /// Whether the end was asked for.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.reason.load(Ordering::Acquire) != 0
    }

    /// Ends when the end is asked for.
    pub(crate) async fn requested(&self) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_requested() {
                return;
            }
            changed.await;
        }
    }

    /// A receiver that fires when requests in flight are to be given up.
    ///
    /// One for each user and not one for all: polling it for every request must not take a lock that users share.
    pub(crate) fn enlist(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }

    /// Gives up all requests in flight.
    pub(crate) fn give_up(&self) {
        for sender in self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A user that has ended has dropped its receiver.
            _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn first_reason_wins_and_wakes_everyone() {
        let stop = Stop::default();
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.requested().await }
        });
        tokio::task::yield_now().await;
        stop.request(StopReason::Interrupted);
        stop.request(StopReason::Finished);
        waiting.await.unwrap();
        stop.requested().await;
        assert_eq!(stop.reason(), Some(StopReason::Interrupted));
    }

    #[tokio::test]
    async fn giving_up_reaches_enlisted_users() {
        let stop = Stop::default();
        let (first, second) = (stop.enlist(), stop.enlist());
        drop(second);
        stop.give_up();
        assert_eq!(first.await, Ok(()));
    }
}
