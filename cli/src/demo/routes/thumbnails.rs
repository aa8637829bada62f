//! Thumbnails, made after the answer.
//!
//! Sick: each of a thumbnail's pixels adds up its whole window of the photo. Fixed: from a table of sums.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pinchpoint::{in_current_request, track_async_task};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::demo::failure::Failure;
use crate::demo::photo::Photo;
use crate::demo::shop::Shop;
use crate::demo::sickness::Sickness;

/// What happens to the thumbnail.
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

/// Starts the work, unless this product's is under way or there is too much of it; says which.
fn begin(shop: &Arc<Shop>, product: i64) -> &'static str {
    if !shop.rendering.lock().unwrap_or_else(PoisonError::into_inner).insert(product) {
        return "under way";
    }
    let rendering = UnderWay { shop: Arc::clone(shop), product };
    let work = in_current_request(track_async_task("render_thumbnail", async move { make(&rendering).await }));
    let started = shop.background.start(async {
        if let Err(error) = work.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "thumbnail not rendered");
        }
    });
    if started.is_ok() { "started" } else { "put off" }
}

async fn make(rendering: &UnderWay) -> Result<(), Failure> {
    let UnderWay { shop, product } = rendering;
    let (product, window) = (*product, shop.sizing.softening_window);
    // One at a time, so that thumbnails never take more than one core from the customers.
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

/// Marks a product until its thumbnail is made, or the work is dropped.
struct UnderWay {
    shop: Arc<Shop>,
    product: i64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.shop.rendering.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.product);
    }
}
