//! The archive of the invoices, and the pool of connections to it.
//!
//! In the story its file lies on a network drive, which takes its time for each statement, however many connections ask at
//! once. Here it is the shop's own file, and [`DRIVE`] is the drive: a wait, and no work for the processor.

use std::{future::Future, time::Duration};

use pinchpoint::{Held, track_db_query, track_hold};
use sqlx::{Sqlite, pool::PoolConnection, sqlite::SqlitePool};
use tokio::time::sleep;

/// Connections of the sick pool.
pub(crate) const FEW: u32 = 2;
/// Connections of the fixed pool: one for each of the visitors who come at the same time.
pub(crate) const ENOUGH: u32 = 16;

/// What the drive takes for a statement: below the rules' 100 ms, since the statements are not what is wrong.
const DRIVE: Duration = Duration::from_millis(70);

/// The archive.
#[derive(Debug)]
pub(crate) struct Archive(SqlitePool);

impl Archive {
    /// Returns the archive that is read through `connections`.
    pub(crate) const fn new(connections: SqlitePool) -> Self {
        Self(connections)
    }

    /// Returns the pool.
    pub(crate) const fn pool(&self) -> &SqlitePool {
        &self.0
    }

    /// Waits for a connection of the pool. Its place is free again when it is dropped.
    ///
    /// # Errors
    /// Returns an error when the pool is closed, or none of its connections becomes free within sqlx's 30 s.
    #[track_caller]
    pub(crate) fn connection(&self) -> impl Future<Output = Result<Held<PoolConnection<Sqlite>>, sqlx::Error>> {
        let held = track_hold("pool", "archive", self.0.acquire());
        async { held.await.transpose() }
    }

    /// Closes the pool.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// Has the drive take its time for `statement`, whose rows `rows` fetches.
///
/// # Errors
/// Returns the error of `rows`.
#[track_caller]
pub(crate) fn read<T>(
    statement: &'static str,
    rows: impl Future<Output = Result<T, sqlx::Error>>,
) -> impl Future<Output = Result<T, sqlx::Error>> {
    track_db_query(statement, async {
        sleep(DRIVE).await;
        rows.await
    })
}
