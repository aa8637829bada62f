//! The newsletter: an address is kept here, and handed to the list server after the answer.
//!
//! Sick: the task that hands it over has no timeout, and the list server does not answer; it waits for ever. Fixed: it
//! gives up soon, and the next subscription tries again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pinchpoint::{in_current_request, track_async_task};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::demo::failure::Failure;
use crate::demo::shop::Shop;
use crate::demo::sickness::Sickness;

/// How long the fixed task waits for the list server.
const PATIENCE: Duration = Duration::from_millis(200);

/// Who wants the newsletter.
#[derive(Debug, Deserialize)]
pub(crate) struct Subscription {
    email: String,
}

/// What becomes of the subscription.
#[derive(Debug, Serialize)]
pub(crate) struct Subscribed {
    email: String,
    state: &'static str,
}

/// `POST /api/newsletter`
pub(crate) async fn subscribe(
    State(shop): State<Arc<Shop>>,
    Json(Subscription { email }): Json<Subscription>,
) -> Result<(StatusCode, Json<Subscribed>), Failure> {
    if !email.contains('@') || email.len() > 254 {
        return Err(Failure::Invalid("email: an address of at most 254 bytes"));
    }
    sqlx::query("INSERT INTO newsletter VALUES (?) ON CONFLICT DO NOTHING").bind(&email).execute(&shop.writer).await?;
    // One at a time: the list server takes them in order.
    if let Some(turn) = Turn::take(&shop) {
        hand_over(turn, email.clone());
    }
    Ok((StatusCode::ACCEPTED, Json(Subscribed { email, state: "kept" })))
}

fn hand_over(turn: Turn, email: String) {
    let shop = Arc::clone(&turn.0);
    let work = in_current_request(track_async_task("sync_newsletter", async move {
        if !turn.0.fixes.cures(Sickness::StuckTask) {
            return turn.0.list_server.add(&email).await.map(drop);
        }
        // Kept is kept: what the list server does not take now it is given with the next subscription.
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

/// The right to talk to the list server; given back when dropped.
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
