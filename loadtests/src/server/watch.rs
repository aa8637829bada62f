//! [`ServerWatch`]: polls a service while the load runs.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::{
    bottleneck::{Bottleneck, FiredBottleneck},
    client::{ServerClient, ServerSnapshot},
};
use crate::lock::lock;

/// Time between two polls: a rule's state changes every five seconds, and each poll costs the service three requests.
const BETWEEN_POLLS: Duration = Duration::from_secs(3);
/// The service counts a request a moment after its client has the last byte.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches a service from before the load until after it.
#[derive(Debug)]
pub(crate) struct ServerWatch {
    client: ServerClient,
    before: ServerSnapshot,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Every bottleneck that began to fire since the start, as it was last reported.
    fired: Vec<FiredBottleneck>,
    /// What fired before the start and has not ceased to.
    earlier: Vec<Bottleneck>,
    firing: usize,
    memory_mb: Option<f64>,
}

/// What a service reported from before the load until after it.
#[derive(Debug)]
pub(crate) struct WatchedRun {
    pub(crate) before: ServerSnapshot,
    /// Absent where the service no longer answered.
    pub(crate) after: Option<ServerSnapshot>,
    /// What began to fire in between.
    pub(crate) fired: Vec<FiredBottleneck>,
    /// What fired before already and went on.
    pub(crate) earlier: Vec<Bottleneck>,
}

impl ServerWatch {
    /// Starts polling; `None` if the service has no metrics to read.
    pub(crate) async fn start(client: ServerClient) -> Option<Self> {
        let before = client.snapshot().await?;
        let earlier = client.bottlenecks().await.unwrap_or_default();
        let state = Arc::new(Mutex::new(State { firing: earlier.len(), earlier, ..State::default() }));
        let task = tokio::spawn({
            let (client, state, started) = (client.clone(), Arc::clone(&state), Instant::now());
            async move {
                loop {
                    tokio::time::sleep(BETWEEN_POLLS).await;
                    poll(&client, &state, Some(started.elapsed())).await;
                }
            }
        });
        Some(Self { client, before, state, task })
    }

    /// Returns a line for the progress.
    pub(crate) fn line(&self) -> String {
        let state = lock(&self.state);
        let memory = state.memory_mb.map_or_else(String::new, |memory| format!("{memory:.0} MB, "));
        let plural = if state.firing == 1 { "" } else { "s" };
        format!("server: {memory}{} bottleneck{plural}", state.firing)
    }

    /// Stops polling, and returns what the service reported.
    pub(crate) async fn finish(self) -> WatchedRun {
        tokio::time::sleep(SETTLE).await;
        self.task.abort();
        poll(&self.client, &self.state, None).await;
        let after = self.client.snapshot().await;
        let State { fired, earlier, .. } = std::mem::take(&mut *lock(&self.state));
        WatchedRun { before: self.before.clone(), after, fired, earlier }
    }
}

impl Drop for ServerWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads what fires now. `elapsed` is the time since the start; `None` after the end, when a bottleneck that is new has
/// fired at some time since the poll before.
async fn poll(client: &ServerClient, state: &Mutex<State>, elapsed: Option<Duration>) {
    let (bottlenecks, memory_mb) = (client.bottlenecks().await, client.memory_mb().await);
    let mut state = lock(state);
    state.memory_mb = memory_mb.or(state.memory_mb);
    let Some(bottlenecks) = bottlenecks else { return };
    state.firing = bottlenecks.len();
    let first_seen = elapsed.map(|elapsed| (elapsed.as_secs_f64() * 10.0).round() / 10.0);
    // What ceases and fires again has begun in the run.
    state.earlier.retain(|earlier| bottlenecks.iter().any(|bottleneck| bottleneck.continues(earlier)));
    for bottleneck in bottlenecks {
        if state.earlier.iter().any(|earlier| bottleneck.continues(earlier)) {
            continue;
        }
        match state.fired.iter_mut().find(|fired| fired.bottleneck.is_same(&bottleneck)) {
            Some(fired) => fired.bottleneck = bottleneck,
            None => state.fired.push(FiredBottleneck { first_seen, bottleneck }),
        }
    }
}
