//! The monitor over the shop, through the library's public face only: what any service would write.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use pinchpoint::{BuildError, Control, Monitor, Settings, SqlxLayer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use super::sickness::Fixes;

/// What is told without `RUST_LOG`. The slow statements that sqlx warns of are there on purpose.
const LOGGED: &str = "warn,sqlx::query=off";
/// Where rules are looked for unless told otherwise: where a checkout of this project has them.
const RULES: &str = "rules";
/// The history of the trends, beside the shop's own data.
const HISTORY: &str = "performance.redb";

/// Sends the log to standard error, and sqlx's queries to the monitor.
pub(crate) fn log() {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| LOGGED.to_owned());
    let told =
        fmt::layer().with_writer(io::stderr).with_target(false).with_filter(EnvFilter::builder().parse_lossy(wanted));
    tracing_subscriber::registry().with(told).with(SqlxLayer::new()).init();
}

/// What the command line, a file and the environment say of the monitor.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The directory of the rules; goes before that of the settings.
    pub(crate) rules: Option<PathBuf>,
    /// Everything else; goes before the demo's own.
    pub(crate) settings: Settings,
}

/// The monitor and the rules it judges by.
#[derive(Debug)]
pub(crate) struct Watch {
    monitor: Monitor,
    rules: Option<PathBuf>,
}

impl Watch {
    /// Starts the monitor of a shop that listens on `address` and keeps its data in `directory`.
    ///
    /// What is fixed is part of the version that the monitor knows the shop by: on kept data it then compares the fixed
    /// shop with the sick one.
    ///
    /// # Errors
    /// Returns an error when the rules are wrong, or the history of the trends cannot be kept.
    pub(crate) fn start(
        Wanted { rules, settings }: Wanted,
        address: SocketAddr,
        directory: &Path,
        fixes: &Fixes,
    ) -> Result<Self, BuildError> {
        let rules = rules.or_else(|| settings.rules_dir().map(Path::to_owned));
        let rules = rules.or_else(|| Path::new(RULES).is_dir().then(|| RULES.into()));
        // On loopback whoever can ask could stop the whole demo as well.
        let control = if address.ip().is_loopback() { Control::Loopback } else { Control::Refused };
        let version = fixes.names().fold(env!("CARGO_PKG_VERSION").to_owned(), |version, fix| {
            let joint = if version.contains('+') { '.' } else { '+' };
            format!("{version}{joint}{fix}")
        });
        let mut builder = Monitor::builder()
            .db_system("sqlite")
            .control(control)
            .history_file(directory.join(HISTORY))
            .service("pinchpoint demo shop", version)
            .settings(settings);
        if let Some(directory) = &rules {
            builder = builder.rules_dir(directory);
        }
        Ok(Self { monitor: builder.install()?, rules })
    }

    /// Returns `shop` measured, with the monitor's own routes beside it.
    pub(crate) fn over(&self, shop: Router) -> Router {
        shop.layer(self.monitor.layer()).merge(self.monitor.router())
    }

    /// Returns the directory of the rules; `None` where those built in are used.
    pub(crate) fn rules(&self) -> Option<&Path> {
        self.rules.as_deref()
    }

    /// Ends the streams of events, which nothing else would.
    pub(super) fn end_events(&self) {
        self.monitor.end_events();
    }

    /// Evaluates a last time and ends what the monitor does in the background.
    pub(crate) async fn stop(self) {
        self.monitor.shutdown().await;
    }
}
