//! The owner of the tasks that go on after their request was answered.
//!
//! Without an owner they would outlive the shop: closing it stops them before their database goes.

use std::{future::Future, sync::Mutex};

use crate::lock::lock;
use tokio::task::JoinSet;

/// Tasks at a time; more are refused, so that a burst of requests cannot fill the memory with tasks.
const LIMIT: usize = 256;

/// The tasks under way.
#[derive(Debug, Default)]
pub(crate) struct Background(Mutex<JoinSet<()>>);

/// The error of [`Background::start`]: [`LIMIT`] tasks are under way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyTasks;

impl Background {
    /// Starts `work` on the runtime.
    ///
    /// # Errors
    /// Returns [`TooManyTasks`], and drops `work`, when [`LIMIT`] tasks are under way.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), TooManyTasks> {
        let mut tasks = lock(&self.0);
        // Tasks that have ended stay in the set, and count, until they are joined.
        while tasks.try_join_next().is_some() {}
        if tasks.len() >= LIMIT {
            return Err(TooManyTasks);
        }
        tasks.spawn(work);
        Ok(())
    }

    /// Cancels all tasks and waits until they have stopped.
    pub(crate) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.0));
        tasks.shutdown().await;
    }

    /// Waits until all tasks have ended.
    #[cfg(test)]
    pub(crate) async fn finished(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.0));
        while tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_task_past_the_limit_is_refused() {
        let background = Background::default();
        for _ in 0..LIMIT {
            background.start(pending()).unwrap();
        }
        assert_eq!(background.start(pending()), Err(TooManyTasks));
        background.stop().await;
        assert_eq!(background.start(async {}), Ok(()));
    }
}
