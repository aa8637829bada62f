//! The newsletter: the shop stores an address, and a task sends it to the list server after the answer.
//!
//! Sick: the task has no timeout and the list server never answers, so the task waits for ever. Fixed: the task gives
//! up soon, and the next subscription tries the server again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Json, extract::State, http::StatusCode};
use pinchpoint::{in_current_request, track_async_task};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::demo::{failure::Failure, shop::Shop, sickness::Sickness};

/// How long the fixed task waits for the list server.
const PATIENCE: Duration = Duration::from_millis(200);

/// The body of `POST /api/newsletter`.
#[derive(Debug, Deserialize)]
pub(crate) struct Subscription {
    email: String,
}

/// The answer to a subscription.
#[derive(Debug, Serialize)]
pub(crate) struct SubscriptionReceipt {
    email: String,
    state: &'static str,
}

/// `POST /api/newsletter`
pub(crate) async fn subscribe(
    State(shop): State<Arc<Shop>>,
    Json(Subscription { email }): Json<Subscription>,
) -> Result<(StatusCode, Json<SubscriptionReceipt>), Failure> {
    if !email.contains('@') || email.len() > 254 {
        return Err(Failure::Invalid("email: an address of at most 254 bytes"));
    }
    sqlx::query("INSERT INTO newsletter VALUES (?) ON CONFLICT DO NOTHING").bind(&email).execute(&shop.writer).await?;
    // One task at a time, so that the sick shop has one stuck task and not one for each subscription.
    if let Some(turn) = Turn::take(&shop) {
        hand_over(turn, email.clone());
    }
    Ok((StatusCode::ACCEPTED, Json(SubscriptionReceipt { email, state: "kept" })))
}

fn hand_over(turn: Turn, email: String) {
    let shop = Arc::clone(&turn.0);
    let work = in_current_request(track_async_task("sync_newsletter", async move {
        if !turn.0.fixes.cures(Sickness::StuckTask) {
            return turn.0.list_server.add(&email).await.map(drop);
        }
        // A timeout is no failure of the task: the shop has stored the address.
        timeout(PATIENCE, turn.0.list_server.add(&email)).await.map_or(Ok(()), |answer| answer.map(drop))
    }));
    let started = shop.background.start(async {
        if let Err(error) = work.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "newsletter not handed over");
        }
    });
    if started.is_err() {
        tracing::warn!("newsletter not handed over: too much work in the background");
    }
}

/// The right to send to the list server; dropping it frees the right, also when the task is cancelled.
struct Turn(Arc<Shop>);

impl Turn {
    fn take(shop: &Arc<Shop>) -> Option<Self> {
        let taken = shop.list_server_busy.swap(true, Ordering::Acquire);
        (!taken).then(|| Self(Arc::clone(shop)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let busy: &AtomicBool = &self.0.list_server_busy;
        busy.store(false, Ordering::Release);
    }
}
