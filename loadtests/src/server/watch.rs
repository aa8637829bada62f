//! [`ServerWatch`]: polls a service while the load runs.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::{
    bottleneck::FiredBottleneck,
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
    /// Every bottleneck that fired so far, as it was last reported.
    fired: Vec<FiredBottleneck>,
    firing: usize,
    memory_mb: Option<f64>,
}

impl ServerWatch {
    /// Starts polling; `None` if the service has no metrics to read.
    pub(crate) async fn start(client: ServerClient) -> Option<Self> {
        let before = client.snapshot().await?;
        let state = Arc::new(Mutex::new(State::default()));
        poll(&client, &state, Some(Duration::ZERO)).await;
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

    /// Stops polling, and returns both snapshots and the bottlenecks that fired in between.
    pub(crate) async fn finish(self) -> (ServerSnapshot, Option<ServerSnapshot>, Vec<FiredBottleneck>) {
        tokio::time::sleep(SETTLE).await;
        self.task.abort();
        poll(&self.client, &self.state, None).await;
        let after = self.client.snapshot().await;
        let fired = std::mem::take(&mut lock(&self.state).fired);
        (self.before.clone(), after, fired)
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
    for bottleneck in bottlenecks {
        match state.fired.iter_mut().find(|fired| fired.bottleneck.is_same(&bottleneck)) {
            Some(fired) => fired.bottleneck = bottleneck,
            None => state.fired.push(FiredBottleneck { first_seen, bottleneck }),
        }
    }
}
