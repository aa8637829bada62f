//! Returns: the customer gets a label for the parcel, with a number of the shop's and a code of the carrier's.
//!
//! Sick: the lock on the last number is held until the carrier has printed the label, so that the customers get theirs one
//! after another. Fixed: it is held while the number is taken.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use pinchpoint::track_hold;
use serde::{Deserialize, Serialize};

use crate::demo::{carrier::Label, failure::Failure, shop::Shop, sickness::Sickness};

/// The body of `POST /api/returns`.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    order: i64,
}

/// The label of a return.
#[derive(Debug, Serialize)]
pub(crate) struct ReturnLabel {
    order: i64,
    number: u64,
    code: String,
}

/// `POST /api/returns`
pub(crate) async fn start(
    State(shop): State<Arc<Shop>>,
    Json(Wish { order }): Json<Wish>,
) -> Result<(StatusCode, Json<ReturnLabel>), Failure> {
    let known: Option<(i64,)> =
        sqlx::query_as("SELECT id FROM orders WHERE id = ?").bind(order).fetch_optional(&shop.database).await?;
    known.ok_or(Failure::NotFound("order"))?;

    let mut last = track_hold("lock", "return labels", shop.last_return_label.lock()).await;
    **last += 1;
    let number = **last;
    let Label { code } = if shop.fixes.cures(Sickness::HeldLock) {
        drop(last);
        shop.carrier.label(number, order).await?
    } else {
        let label = shop.carrier.label(number, order).await;
        drop(last);
        label?
    };
    Ok((StatusCode::CREATED, Json(ReturnLabel { order, number, code })))
}
