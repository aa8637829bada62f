//! Looks at a service while the load runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::client::{Bottleneck, ServerClient, ServerSnapshot};

/// A finding and when it was first seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// As it was told last.
    pub(crate) bottleneck: Bottleneck,
    /// Seconds since the start of the watch; 0 if it fired already then.
    pub(crate) first_seen: f64,
}

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
    seen: Vec<Seen>,
    firing: usize,
    memory_mb: Option<f64>,
}

impl ServerWatch {
    /// Starts watching; `None` if the service tells nothing.
    pub(crate) async fn start(client: ServerClient) -> Option<Self> {
        let before = client.snapshot().await?;
        let state = Arc::new(Mutex::new(State::default()));
        look(&client, &state, Duration::ZERO).await;
        let task = tokio::spawn({
            let (client, state, started) = (client.clone(), Arc::clone(&state), Instant::now());
            async move {
                loop {
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                    look(&client, &state, started.elapsed()).await;
                }
            }
        });
        Some(Self { client, before, state, task })
    }

    /// A line for the progress.
    pub(crate) fn line(&self) -> String {
        let state = lock(&self.state);
        let memory = state.memory_mb.map_or_else(String::new, |memory| format!("{memory:.0} MB, "));
        let plural = if state.firing == 1 { "" } else { "s" };
        format!("server: {memory}{} bottleneck{plural}", state.firing)
    }

    /// Ends the watch: both snapshots and what fired in between.
    pub(crate) async fn finish(self) -> (ServerSnapshot, Option<ServerSnapshot>, Vec<Seen>) {
        // A request ends on the server a moment after its last byte was sent.
        tokio::time::sleep(SETTLE).await;
        self.task.abort();
        look(&self.client, &self.state, Duration::MAX).await;
        let after = self.client.snapshot().await;
        let seen = std::mem::take(&mut lock(&self.state).seen);
        (self.before.clone(), after, seen)
    }
}

impl Drop for ServerWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(client: &ServerClient, state: &Mutex<State>, elapsed: Duration) {
    let (bottlenecks, memory_mb) = (client.bottlenecks().await, client.memory_mb().await);
    let mut state = lock(state);
    state.memory_mb = memory_mb.or(state.memory_mb);
    let Some(bottlenecks) = bottlenecks else { return };
    state.firing = bottlenecks.len();
    // A look after the end has no time of its own; what it finds new fired since the look before.
    let at = if elapsed == Duration::MAX { f64::NAN } else { elapsed.as_secs_f64() };
    for bottleneck in bottlenecks {
        let same = |seen: &&mut Seen| {
            seen.bottleneck.kind == bottleneck.kind
                && seen.bottleneck.subject == bottleneck.subject
                && seen.bottleneck.severity == bottleneck.severity
        };
        match state.seen.iter_mut().find(same) {
            Some(seen) => seen.bottleneck = bottleneck,
            None => state.seen.push(Seen { bottleneck, first_seen: at }),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

const BETWEEN_LOOKS: Duration = Duration::from_secs(3);
const SETTLE: Duration = Duration::from_millis(200);
