//! A service of the set as a process of its own, and what its handlers are made of.

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::OnceLock,
    time::{Duration, Instant},
};

use axum::Router;
use pinchpoint::{Monitor, SqlxLayer};
use tracing_subscriber::{layer::SubscriberExt as _, registry, util::SubscriberInitExt as _};

use crate::{postgres, rules, truth::Truth};

/// The address of the other service that handlers call.
pub(crate) const UPSTREAM: &str = "TRUTH_UPSTREAM";
/// The folder of PostgreSQL's socket.
pub(crate) const POSTGRES: &str = "TRUTH_POSTGRES";

/// What a service is made with.
#[derive(Clone)]
pub(crate) struct Host {
    monitor: Monitor,
    folder: PathBuf,
}

impl Host {
    /// Returns the router behind the monitor's layer.
    pub(crate) fn watch<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        router.layer(self.monitor.layer())
    }

    /// Returns a folder for the service's files, which goes with it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the URL of a path of the other service.
    pub(crate) fn upstream(&self, path: &str) -> String {
        format!("http://{}{path}", self.upstream_address())
    }

    pub(crate) fn upstream_address(&self) -> SocketAddr {
        std::env::var(UPSTREAM).expect("the runner sets it").parse().expect("an address")
    }

    /// Returns how to connect to PostgreSQL.
    pub(crate) fn postgres(&self) -> sqlx::postgres::PgConnectOptions {
        postgres::options(Path::new(&std::env::var_os(POSTGRES).expect("the runner starts PostgreSQL")))
    }
}

/// Serves until the runner closes the standard input, or ends.
pub(crate) fn serve(truth: Truth) -> ExitCode {
    std::thread::spawn(|| {
        let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
        // The temporary folder is the runner's.
        #[expect(clippy::exit, reason = "the service may be blocked, which is its purpose")]
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(truth.workers)
        .max_blocking_threads(truth.blocking_threads)
        .enable_all()
        .build()
        .unwrap();
    registry().with(SqlxLayer::new()).init();
    speed();
    runtime.block_on(async move {
        let folder = std::env::current_dir().unwrap();
        let rules = folder.join("rules");
        std::fs::create_dir(&rules).unwrap();
        rules::write_impatient(&rules);
        let monitor = Monitor::builder()
            .rules_dir(&rules)
            .evaluation_interval(Duration::from_millis(500))
            .sampling_interval(Duration::from_millis(500))
            .install()
            .unwrap_or_else(|error| panic!("{error}"));
        let app = (truth.app)(Host { monitor: monitor.clone(), folder }).await.merge(monitor.router());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut out = std::io::stdout().lock();
        out.write_all(format!("listening on {address}\n").as_bytes()).unwrap();
        drop(out);
        axum::serve(listener, app).await.unwrap();
    });
    ExitCode::SUCCESS
}

/// Returns how many steps of [`compute`] take a millisecond on a core of its own.
fn speed() -> u64 {
    static SPEED: OnceLock<u64> = OnceLock::new();
    *SPEED.get_or_init(|| {
        const STEPS: u64 = 200_000;
        // The fastest of several, which the machine's other processes interrupt least.
        let fastest = (0..30).map(|_| {
            let began = Instant::now();
            steps(STEPS);
            began.elapsed()
        });
        let fastest = fastest.min().expect("more than none").as_nanos().max(1);
        (u128::from(STEPS) * 1_000_000 / fastest) as u64
    })
}

fn steps(number: u64) {
    let mut state = 1_u64;
    for _ in 0..number {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    }
}

/// Computes for `millis` of processor time, however long that takes on a busy machine.
pub(crate) fn compute(millis: u64) {
    steps(speed() * millis);
}

/// Waits without blocking, as a call without a socket would.
pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Blocks the thread.
pub(crate) fn block(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Waits as a query of this duration would, with a result as queries have.
pub(crate) async fn query(sql: &str, millis: u64) {
    let work = async {
        pause(millis).await;
        Ok::<_, Infallible>(())
    };
    let _ = pinchpoint::track_db_query(sql, work).await;
}

/// Runs `work` as a task with a name.
pub(crate) async fn task(name: &str, work: impl Future<Output = ()>) {
    let work = async {
        work.await;
        Ok::<_, Infallible>(())
    };
    let _ = pinchpoint::track_async_task(name, work).await;
}
