//! The monitor over the shop, through the library's public API only: the code that any service would write.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use axum::Router;
use pinchpoint::{AlertReceiver, BuildError, Control, Monitor, PoolState, Settings, SqlxLayer};
use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{shop::Shop, sickness::Fixes};

/// The log filter without `RUST_LOG`. sqlx's warnings are off: slow statements and the small pool are there on purpose.
const LOGGED: &str = "warn,sqlx::query=off,sqlx::pool=off";
/// The directory of the rules where none is set: a checkout of this project has them there.
const RULES: &str = "rules";
/// The history of the trends, beside the shop's own data.
const HISTORY: &str = "performance.redb";

/// Sends the log to standard error, and sqlx's queries to the monitor.
pub(crate) fn log() {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| LOGGED.to_owned());
    let output =
        fmt::layer().with_writer(io::stderr).with_target(false).with_filter(EnvFilter::builder().parse_lossy(wanted));
    tracing_subscriber::registry().with(output).with(SqlxLayer::new()).init();
}

/// The monitor's settings from the command line, a file and the environment.
#[derive(Debug)]
pub(crate) struct WatchSettings {
    /// The directory of the rules from the command line; it overrides the one in the settings.
    pub(crate) rules: Option<PathBuf>,
    /// All other settings; they override the demo's own.
    pub(crate) settings: Settings,
    /// Addresses of Alertmanagers, beside those of the settings.
    pub(crate) alertmanagers: Vec<String>,
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
    /// The fixes are part of the version that the monitor records for the shop, so that on kept data it compares the
    /// fixed shop with the sick one.
    ///
    /// # Errors
    /// Returns an error when the monitor cannot be built, such as for a mistake in a rule file.
    pub(crate) fn start(
        WatchSettings { rules, settings, alertmanagers }: WatchSettings,
        address: SocketAddr,
        directory: &Path,
        fixes: &Fixes,
    ) -> Result<Self, BuildError> {
        let rules = rules.or_else(|| settings.rules_dir().map(Path::to_owned));
        let rules = rules.or_else(|| Path::new(RULES).is_dir().then(|| RULES.into()));
        // On loopback a client could as well stop the demo's process, so opening control adds no risk.
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
        for url in alertmanagers {
            builder = builder.alert_receiver(AlertReceiver::alertmanager(url));
        }
        if let Some(directory) = &rules {
            builder = builder.rules_dir(directory);
        }
        Ok(Self { monitor: builder.install()?, rules })
    }

    /// Returns `routes` of the shop under the monitor's layer, with the monitor's own routes beside them, and watches the shop's pools.
    pub(crate) fn over(&self, routes: Router, shop: &Shop) -> Router {
        for (name, pool) in shop.pools() {
            let pool = pool.clone();
            let state = move || {
                let max = pool.options().get_max_connections();
                (!pool.is_closed()).then(|| PoolState::new(pool.size() as usize, pool.num_idle()).max(max as usize))
            };
            self.monitor.watch_pool(name, state);
        }
        routes.layer(self.monitor.layer()).merge(self.monitor.router())
    }

    /// Returns the directory of the rules; `None` where the built-in rules apply.
    pub(crate) fn rules(&self) -> Option<&Path> {
        self.rules.as_deref()
    }

    /// Ends the streams of events, which would otherwise hold the graceful shutdown up until its grace is over.
    pub(super) fn end_events(&self) {
        self.monitor.end_events();
    }

    /// Evaluates the rules a last time and stops the monitor's background tasks.
    pub(crate) async fn stop(self) {
        self.monitor.shutdown().await;
    }
}
