//! Coupons.
//!
//! Sick: the shop prints its codes in capitals, and the database has them in lower case, so that printed codes are not
//! found. Fixed: the case is ignored.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;

use crate::demo::{failure::Failure, shop::Shop, sickness::Sickness};

/// A coupon.
#[derive(Debug, Serialize)]
pub(crate) struct Coupon {
    code: String,
    percent: i64,
}

/// `GET /api/coupons/{code}`
pub(crate) async fn coupon(
    State(shop): State<Arc<Shop>>,
    Path(mut code): Path<String>,
) -> Result<Json<Coupon>, Failure> {
    if shop.fixes.cures(Sickness::BrokenLinks) {
        code.make_ascii_lowercase();
    }
    let row: Option<(String, i64)> = sqlx::query_as("SELECT code, percent FROM coupons WHERE code = ?")
        .bind(code)
        .fetch_optional(&shop.database)
        .await?;
    let (code, percent) = row.ok_or(Failure::NotFound("coupon"))?;
    Ok(Json(Coupon { code, percent }))
}
