//! Starting and stopping the demo.
//!
//! Owns the order: mistakes of the command line (a port in use, rules with a mistake) are reported before the data is
//! made, which takes seconds; and the data's directory is removed last, however the demo ends.

use std::{
    future::{Future, IntoFuture as _},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use pinchpoint::{BuildError, Settings, SettingsError};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

use super::{
    routes,
    seed::Volume,
    shop::{OpenError, Plan, Shop},
    sickness::{Fix, Fixes},
    traffic,
    watch::{Watch, WatchSettings, log},
    welcome::Welcome,
};
use crate::args::DemoArgs;

/// How long open requests may take to end after the signal to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Why the demo did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// Another program listens there.
    #[error("{0} is in use already; stop what listens there, or take another port: pinchpoint demo --listen 8001")]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address of the command line.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The settings of the monitor are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The directory of the data cannot be made.
    #[error("cannot make {} for the demo's data", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The shop did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The monitor did not start.
    #[error(transparent)]
    Watch(#[from] BuildError),
    /// The runtime or the server failed.
    #[error("the demo's server failed")]
    Server(#[source] io::Error),
}

/// Runs the demo until Ctrl-C or SIGTERM, or until standard input ends where the arguments ask for that.
///
/// # Errors
/// Returns an error when it cannot start; see [`DemoError`].
pub(crate) fn run(args: DemoArgs) -> Result<(), DemoError> {
    log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(DemoError::Server)?;
    let done = runtime.block_on(demo(args));
    // A thread that computes a thumbnail cannot be cancelled, and its result is of no use now.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn demo(args: DemoArgs) -> Result<(), DemoError> {
    let mut stop = pin!(stop(args.until_stdin_closes));
    let settings = Settings::load(args.config.as_deref())?;
    let listener = listen(args.listen).await?;
    let address = listener.local_addr().map_err(DemoError::Server)?;
    let directory = Directory::make(args.data)?;
    let fixes: Fixes = args.fix.into_iter().chain(args.fixed.then_some(Fix::All)).collect();
    let watched = WatchSettings { rules: args.rules, settings, alertmanagers: args.alertmanager };
    let watch = Watch::start(watched, address, directory.path(), &fixes)?;

    let plan =
        Plan { directory: directory.path().to_owned(), volume: Volume::DEMO, fixes: fixes.clone(), sizing: None };
    let shop = tokio::select! {
        shop = Shop::open(plan) => shop?,
        () = &mut stop => return Ok(()),
    };
    let app = watch.over(routes::router(&shop), &shop);

    let welcome =
        Welcome { address, fixes: &fixes, traffic: args.traffic, rules: watch.rules(), data: directory.kept() };
    // The demo goes on where its standard output is closed.
    _ = write!(io::stdout(), "{welcome}");
    let mut visitors = args.traffic.then(|| traffic::start(welcome.reachable()));

    let (close, closed) = oneshot::channel::<()>();
    // With the client's address, by which `metrics_access: loopback` decides.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = pin!(axum::serve(listener, app).with_graceful_shutdown(async { _ = closed.await }).into_future());
    let served = tokio::select! {
        served = &mut server => served,
        () = stop => {
            watch.end_events();
            drop((close, visitors.take()));
            timeout(GRACE, server).await.unwrap_or(Ok(()))
        }
    };
    watch.stop().await;
    shop.close().await;
    served.map_err(DemoError::Server)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, DemoError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => DemoError::AddressInUse(address),
        _ => DemoError::Listen { address, source },
    })
}

/// Resolves at the first reason to stop.
async fn stop(until_stdin_closes: bool) {
    if until_stdin_closes {
        tokio::select! {
            () = signal() => {}
            () = stdin_closed() => {}
        }
    } else {
        signal().await;
    }
}

/// Resolves when standard input ends, or cannot be read.
async fn stdin_closed() {
    let (end, ended) = oneshot::channel();
    // On a thread of its own: a blocking read cannot be cancelled, and the runtime would wait for its own threads at the
    // end. This one ends with the process.
    std::thread::spawn(move || {
        _ = io::copy(&mut io::stdin(), &mut io::sink());
        _ = end.send(());
    });
    _ = ended.await;
}

/// Resolves at Ctrl-C and SIGTERM; a signal that the system does not let us handle never resolves it.
fn signal() -> impl Future<Output = ()> {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut terminated) => _ = terminated.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    async {
        tokio::select! {
            () = interrupted => {}
            () = terminated => {}
        }
    }
}

/// The directory of the data: removed after this run, or kept.
enum Directory {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Directory {
    fn make(kept: Option<PathBuf>) -> Result<Self, DemoError> {
        match kept {
            Some(path) => match std::fs::create_dir_all(&path) {
                Ok(()) => Ok(Self::Kept(path)),
                Err(source) => Err(DemoError::Directory { path, source }),
            },
            None => tempfile::Builder::new()
                .prefix("pinchpoint-demo-")
                .tempdir()
                .map(Self::Temporary)
                .map_err(|source| DemoError::Directory { path: std::env::temp_dir(), source }),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }

    fn kept(&self) -> Option<&Path> {
        match self {
            Self::Temporary(_) => None,
            Self::Kept(path) => Some(path),
        }
    }
}
