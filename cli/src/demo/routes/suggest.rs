//! Suggestions while the customer types: the best sold products with these letters in their name.
//!
//! Sick: what was sold is counted from all order lines, for each candidate, at each keystroke; the customer's browser
//! has given up by then and asks for the next letters. Fixed: checkout keeps the count with the product.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use crate::demo::failure::Failure;
use crate::demo::shop::Shop;
use crate::demo::sickness::Sickness;

/// Takes a pattern and the number of candidates.
pub(crate) const COUNTING: &str = "\
    SELECT p.name, (SELECT COALESCE(SUM(l.quantity), 0) FROM order_lines l WHERE l.product_id = p.id) AS sold \
    FROM (SELECT id, name FROM products WHERE name LIKE ?1 ORDER BY id LIMIT ?2) p \
    ORDER BY sold DESC, p.name LIMIT 8";
const KEPT: &str = "\
    SELECT p.name, p.sold \
    FROM (SELECT name, sold FROM products WHERE name LIKE ?1 ORDER BY id LIMIT ?2) p \
    ORDER BY p.sold DESC, p.name LIMIT 8";

/// What the customer has typed.
#[derive(Debug, Deserialize)]
pub(crate) struct Typed {
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
    Query(typed): Query<Typed>,
) -> Result<Json<Vec<Suggestion>>, Failure> {
    let query = if shop.fixes.cures(Sickness::LateSuggestions) { KEPT } else { COUNTING };
    // A typed wildcard is no wildcard: no name has one in it, and LIKE knows no other.
    let letters = typed.q.replace(['%', '_'], "");
    let rows: Vec<(String, i64)> = sqlx::query_as(query)
        .bind(format!("%{letters}%"))
        .bind(shop.sizing.suggestion_candidates)
        .fetch_all(&shop.database)
        .await?;
    Ok(Json(rows.into_iter().map(|(name, sold)| Suggestion { name, sold }).collect()))
}
