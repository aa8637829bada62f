//! Thumbnails, rendered by a task after the answer.
//!
//! Sick: the task adds up a whole window of the photo for each pixel of the thumbnail. Fixed: it reads each sum from a
//! summed-area table.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use pinchpoint::{in_current_request, track_async_task};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::{
    demo::{failure::Failure, photo::Photo, shop::Shop, sickness::Sickness},
    lock::lock,
};

/// The answer: the product, and whether its rendering was started, is under way, or was put off.
#[derive(Debug, Serialize)]
pub(crate) struct Rendering {
    product: i64,
    state: &'static str,
}

/// `POST /api/products/{id}/thumbnail`
pub(crate) async fn render(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<i64>,
) -> Result<(StatusCode, Json<Rendering>), Failure> {
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT id FROM products WHERE id = ?").bind(id).fetch_optional(&shop.database).await?;
    let (product,) = row.ok_or(Failure::NotFound("product"))?;
    Ok((StatusCode::ACCEPTED, Json(Rendering { product, state: begin(&shop, product) })))
}

/// Starts the task, unless the product has one under way or there are too many tasks; returns the answer's state.
fn begin(shop: &Arc<Shop>, product: i64) -> &'static str {
    if !lock(&shop.rendering).insert(product) {
        return "under way";
    }
    let rendering = RenderingMark { shop: Arc::clone(shop), product };
    let work = in_current_request(track_async_task("render_thumbnail", async move { make(&rendering).await }));
    let started = shop.background.start(async {
        if let Err(error) = work.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "thumbnail not rendered");
        }
    });
    if started.is_ok() { "started" } else { "put off" }
}

async fn make(rendering: &RenderingMark) -> Result<(), Failure> {
    let RenderingMark { shop, product } = rendering;
    let (product, window) = (*product, shop.sizing.softening_window);
    // One at a time, so that thumbnails use at most one core and the other routes are not slowed by it.
    let _turn = shop.easel.acquire().await?;
    let pixels = if shop.fixes.cures(Sickness::SlowThumbnails) {
        spawn_blocking(move || Photo::of(product).thumbnail_by_sums(window)).await?
    } else {
        spawn_blocking(move || Photo::of(product).thumbnail_by_windows(window)).await?
    };
    sqlx::query("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)")
        .bind(product)
        .bind(pixels)
        .execute(&shop.writer)
        .await?;
    Ok(())
}

/// Marks a product as being rendered until the task ends or is cancelled.
struct RenderingMark {
    shop: Arc<Shop>,
    product: i64,
}

impl Drop for RenderingMark {
    fn drop(&mut self) {
        lock(&self.shop.rendering).remove(&self.product);
    }
}
