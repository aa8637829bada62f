//! The owner of the work that requests leave behind.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

/// Pieces of work under way at a time; more are turned away.
const LIMIT: usize = 256;

/// The work that goes on after its request was answered.
#[derive(Debug, Default)]
pub(crate) struct Background(Mutex<JoinSet<()>>);

/// Returned when there is too much work under way to take more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Background {
    /// Starts `work` on the runtime.
    ///
    /// # Errors
    /// Returns [`Full`], and drops `work`, when too much is under way already.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), Full> {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.len() >= LIMIT {
            return Err(Full);
        }
        tasks.spawn(work);
        Ok(())
    }

    /// Stops what is under way and waits until it has stopped.
    pub(crate) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// Waits until everything under way has ended.
    #[cfg(test)]
    pub(crate) async fn finished(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn work_past_the_limit_is_turned_away() {
        let background = Background::default();
        for _ in 0..LIMIT {
            background.start(pending()).unwrap();
        }
        assert_eq!(background.start(pending()), Err(Full));
        background.stop().await;
        assert_eq!(background.start(async {}), Ok(()));
    }
}
