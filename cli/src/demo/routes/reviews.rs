//! The reviews of a product, each with how many reviews its author has written.
//!
//! Sick: there is no index on a review's author, so SQLite scans all reviews for each one shown. Fixed: [`Shop::open`]
//! creates the index; the query is the same.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;

use crate::demo::{failure::Failure, shop::Shop};

/// Parameters: the product's id, and the number of reviews to show.
pub(crate) const SCANNING: &str = "\
    SELECT r.day, r.stars, r.body, c.name, (SELECT COUNT(*) FROM reviews o WHERE o.customer_id = r.customer_id) \
    FROM (SELECT * FROM reviews WHERE product_id = ?1 ORDER BY day DESC, id DESC LIMIT ?2) r \
    JOIN customers c ON c.id = r.customer_id \
    ORDER BY r.day DESC, r.id DESC";

/// A review.
#[derive(Debug, Serialize)]
pub(crate) struct Review {
    day: String,
    stars: i64,
    body: String,
    author: String,
    reviews_by_author: i64,
}

/// `GET /api/products/{id}/reviews`: the latest first; empty for a product without reviews.
pub(crate) async fn reviews(State(shop): State<Arc<Shop>>, Path(id): Path<i64>) -> Result<Json<Vec<Review>>, Failure> {
    let rows: Vec<(String, i64, String, String, i64)> =
        sqlx::query_as(SCANNING).bind(id).bind(shop.sizing.reviews_per_page).fetch_all(&shop.database).await?;
    let review = |(day, stars, body, author, reviews_by_author)| Review { day, stars, body, author, reviews_by_author };
    Ok(Json(rows.into_iter().map(review).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{
        sickness::{Fix, Fixes, Sickness},
        tests::TestShop,
    };

    #[tokio::test]
    async fn the_index_is_missing_until_it_is_fixed() {
        let sick = TestShop::open(Fixes::default()).await.plan(SCANNING).await;
        assert!(sick.contains("SCAN o"), "{sick}");
        let fixed = TestShop::open(Fixes::from_iter([Fix::One(Sickness::MissingIndex)])).await.plan(SCANNING).await;
        assert!(fixed.contains("SEARCH o USING COVERING INDEX reviews_by_customer"), "{fixed}");
    }
}
