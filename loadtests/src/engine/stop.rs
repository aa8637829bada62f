//! The end of a run, requested from anywhere and seen by every user.
//!
//! First no further request is sent; when the grace is over, those in flight are given up. The first reason wins.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use crate::lock::lock;
use tokio::sync::{Notify, oneshot};

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StopReason {
    /// The time was over, or all iterations were done.
    Finished = 1,
    /// Ctrl-C, or a signal to end.
    Interrupted = 2,
    /// No request ever got a response.
    Unreachable = 3,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunEnd {
    /// Why it ended.
    pub(crate) reason: StopReason,
    /// How long was measured: from the first user's start, or from the end of the warm-up, to the end of the load.
    pub(crate) elapsed: Duration,
}

/// A request to end; clones share one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<StopState>);

#[derive(Debug, Default)]
struct StopState {
    reason: AtomicU8,
    changed: Notify,
    /// A sender for each user, whose receiver ends the request in flight.
    in_flight: Mutex<Vec<oneshot::Sender<()>>>,
}

impl Stop {
    /// Requests the end. Does nothing if it has been requested before.
    pub(crate) fn request(&self, reason: StopReason) {
        let first = self.0.reason.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.0.changed.notify_waiters();
        }
    }

    /// Returns why the end was requested, if it was.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        match self.0.reason.load(Ordering::Acquire) {
            0 => None,
            1 => Some(StopReason::Finished),
            2 => Some(StopReason::Interrupted),
            _ => Some(StopReason::Unreachable),
        }
    }

    /// Whether the end was requested.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.reason.load(Ordering::Acquire) != 0
    }

    /// Waits until the end is requested.
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

    /// Returns a receiver that fires when requests in flight are to be given up.
    ///
    /// Each user has one of its own: it is polled with every request, and must not take a lock that users share.
    pub(crate) fn enlist(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.0.in_flight).push(sender);
        receiver
    }

    /// Gives up all requests in flight.
    pub(crate) fn give_up(&self) {
        for sender in lock(&self.0.in_flight).drain(..) {
            // Fails for a user that has ended and dropped its receiver.
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
