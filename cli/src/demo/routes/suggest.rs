//! Suggestions while the customer types: the best-selling products with these letters in their name.
//!
//! Sick: each keystroke counts the sales of each candidate from all order lines. By the time the answer is there, the
//! browser has dropped the request and asked for the next letters. Fixed: checkout keeps the count with the product.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};

use crate::demo::{failure::Failure, shop::Shop, sickness::Sickness};

/// Parameters: a pattern, and the number of candidates.
pub(crate) const COUNTING: &str = "\
    SELECT p.name, (SELECT COALESCE(SUM(l.quantity), 0) FROM order_lines l WHERE l.product_id = p.id) AS sold \
    FROM (SELECT id, name FROM products WHERE name LIKE ?1 ORDER BY id LIMIT ?2) p \
    ORDER BY sold DESC, p.name LIMIT 8";
const KEPT: &str = "\
    SELECT p.name, p.sold \
    FROM (SELECT name, sold FROM products WHERE name LIKE ?1 ORDER BY id LIMIT ?2) p \
    ORDER BY p.sold DESC, p.name LIMIT 8";

/// The query string: the letters typed so far.
#[derive(Debug, Deserialize)]
pub(crate) struct SuggestQuery {
    #[serde(default)]
    q: String,
}

/// A product that the customer may mean.
#[derive(Debug, Serialize)]
pub(crate) struct Suggestion {
    name: String,
    sold: i64,
}

/// `GET /api/suggest?q=`
pub(crate) async fn suggest(
    State(shop): State<Arc<Shop>>,
    Query(query): Query<SuggestQuery>,
) -> Result<Json<Vec<Suggestion>>, Failure> {
    let sql = if shop.fixes.cures(Sickness::LateSuggestions) { KEPT } else { COUNTING };
    // `%` and `_` are LIKE's only wildcards; no product has one in its name, so removing them loses no match.
    let letters = query.q.replace(['%', '_'], "");
    let rows: Vec<(String, i64)> = sqlx::query_as(sql)
        .bind(format!("%{letters}%"))
        .bind(shop.sizing.suggestion_candidates)
        .fetch_all(&shop.database)
        .await?;
    Ok(Json(rows.into_iter().map(|(name, sold)| Suggestion { name, sold }).collect()))
}
