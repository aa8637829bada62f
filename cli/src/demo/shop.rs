//! The shop: its database, and what its routes share.
//!
//! Opening it makes the data, sizes the sick work and applies the fixes that are part of the schema. All this runs on a
//! connection without statement logging, so that the monitor records the queries of requests only.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Semaphore;

use super::{
    archive::{self, Archive},
    background::Background,
    carrier::Carrier,
    list_server::ListServer,
    mail::Relays,
    password,
    routes::{delivery::LastPrices, recommendations::Pages, settings::Settings},
    seed::{self, Volume},
    sickness::{Fixes, Sickness},
    sizing::{Sizing, SizingError},
};

/// What [`Shop::open`] needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The directory of the database; must exist.
    pub(crate) directory: PathBuf,
    /// How much data to make when there is none.
    pub(crate) volume: Volume,
    /// The sicknesses that are switched off.
    pub(crate) fixes: Fixes,
    /// How much work the sick routes do; measured on this machine when `None`.
    pub(crate) sizing: Option<Sizing>,
}

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Shop {
    /// For reading.
    pub(crate) database: SqlitePool,
    /// For reports, so that a slow one holds none of the connections that customers need.
    pub(crate) reports: SqlitePool,
    /// For invoices.
    pub(crate) archive: Archive,
    /// For writing: one connection, since SQLite has one writer.
    pub(crate) writer: SqlitePool,
    /// The sicknesses that are switched off.
    pub(crate) fixes: Fixes,
    /// How much work the sick routes do.
    pub(crate) sizing: Sizing,
    /// The settings as they were at start.
    pub(crate) settings: Settings,
    /// Rendered recommendations.
    pub(crate) recommendations: Pages,
    /// One permit: one thumbnail is computed at a time.
    pub(crate) easel: Semaphore,
    /// Products whose thumbnail is being made.
    pub(crate) rendering: Mutex<HashSet<i64>>,
    /// The mail relays.
    pub(crate) relays: Relays,
    /// The server that newsletter addresses are sent to.
    pub(crate) list_server: ListServer,
    /// Whether a task is sending one.
    pub(crate) list_server_busy: AtomicBool,
    /// Who brings the parcels.
    pub(crate) carrier: Carrier,
    /// The carrier's last price list, where it is kept.
    pub(crate) last_prices: Option<LastPrices>,
    /// The number of the last label for a return.
    pub(crate) last_return_label: tokio::sync::Mutex<u64>,
    /// Tasks that go on after the answer.
    pub(crate) background: Background,
}

/// Why the shop could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The file is not a database of this version of the demo.
    #[error(
        "{} was not made by this version of the demo; remove it, or choose another directory with --data",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// SQLite failed.
    #[error("the demo's database {} failed", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: sqlx::Error,
    },
    /// The sick routes could not be sized.
    #[error("the demo could not measure this machine")]
    Sizing(#[from] SizingError),
    /// The made-up password could not be hashed.
    #[error("the demo's password could not be hashed")]
    Hash(#[from] argon2::password_hash::Error),
    /// The mail relay, the list server or the carrier did not start.
    #[error("the demo's mail relay, list server or carrier did not start")]
    Relay(#[from] io::Error),
    /// The carrier did not send its price list.
    #[error("the demo's carrier did not answer")]
    Carrier(#[from] reqwest::Error),
}

impl Shop {
    /// Opens the shop in `plan.directory`, making its data if there are none.
    ///
    /// # Errors
    /// Returns an error when the database there is not one of ours or fails, when hashing fails, when the machine has no
    /// free port on its loopback address, or when the carrier does not answer there.
    pub(crate) async fn open(plan: Plan) -> Result<Arc<Self>, OpenError> {
        let path = plan.directory.join("shop.db");
        let failed = |source| OpenError::Database { path: path.clone(), source };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // The demo can make its data again, so it need not wait for the disk.
            .synchronous(SqliteSynchronous::Off);

        let mut silent = options.clone().disable_statement_logging().connect().await.map_err(failed)?;
        make(&mut silent, &path, plan.volume).await?;
        // Kept data may come from a fixed run, and the sizing must measure the sick query.
        sqlx::query("DROP INDEX IF EXISTS reviews_by_customer").execute(&mut silent).await.map_err(failed)?;
        let sizing = match plan.sizing {
            Some(sizing) => sizing,
            None => Sizing::measure(&mut silent).await?,
        };
        if plan.fixes.cures(Sickness::MissingIndex) {
            sqlx::query("CREATE INDEX reviews_by_customer ON reviews (customer_id)")
                .execute(&mut silent)
                .await
                .map_err(failed)?;
        }
        let settings = Settings::read_all(&mut silent).await.map_err(failed)?;
        silent.close().await.map_err(failed)?;

        let pool = async |connections| {
            // Opened at start and kept, so that no request's time includes opening a connection.
            SqlitePoolOptions::new()
                .min_connections(connections)
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .connect_with(options.clone())
                .await
                .map_err(failed)
        };
        let of_archive = if plan.fixes.cures(Sickness::SmallPool) { archive::ENOUGH } else { archive::FEW };
        let carrier = Carrier::start().await?;
        let last_prices =
            if plan.fixes.cures(Sickness::RetryStorm) { Some(LastPrices::fetch(&carrier).await?) } else { None };
        Ok(Arc::new(Self {
            database: pool(6).await?,
            reports: pool(2).await?,
            archive: Archive::new(pool(of_archive).await?),
            writer: pool(1).await?,
            recommendations: Pages::new(&plan.fixes),
            fixes: plan.fixes,
            sizing,
            settings,
            easel: Semaphore::new(1),
            rendering: Mutex::default(),
            relays: Relays::start().await?,
            list_server: ListServer::start().await?,
            list_server_busy: AtomicBool::new(false),
            carrier,
            last_prices,
            last_return_label: tokio::sync::Mutex::default(),
            background: Background::default(),
        }))
    }

    /// Returns its pools of connections by their names.
    pub(crate) fn pools(&self) -> [(&'static str, &SqlitePool); 4] {
        let archive = self.archive.pool();
        [("database", &self.database), ("reports", &self.reports), ("archive", archive), ("writer", &self.writer)]
    }

    /// Stops the background work and closes the database.
    pub(crate) async fn close(&self) {
        self.background.stop().await;
        for pool in [&self.database, &self.reports, &self.writer] {
            pool.close().await;
        }
        self.archive.close().await;
    }
}

/// Makes the data if the database is empty; refuses a database that is neither empty nor of this version.
async fn make(connection: &mut SqliteConnection, path: &Path, volume: Volume) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let (version, tables): (i64, i64) =
        sqlx::query_as("SELECT (SELECT user_version FROM pragma_user_version), (SELECT COUNT(*) FROM sqlite_schema)")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
    match (version, tables) {
        (seed::VERSION, _) => Ok(()),
        (0, 0) => seed::fill(connection, volume, &password::seed_hash()?).await.map_err(failed),
        _ => Err(OpenError::Foreign { path: path.to_owned() }),
    }
}
