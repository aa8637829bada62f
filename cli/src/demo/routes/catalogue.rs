//! Products: all routes are healthy, each makes one query on an index.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};

use crate::demo::{failure::Failure, shop::Shop};

/// Products on a page.
const PAGE: i64 = 40;
const LIST: &str = "SELECT id, name, price_cents FROM products WHERE id > ? ORDER BY id LIMIT ?";
const ONE: &str = "\
    SELECT p.name, c.name, p.description, p.price_cents, s.on_hand > 0 \
    FROM products p JOIN categories c ON c.id = p.category_id JOIN stock s ON s.product_id = p.id \
    WHERE p.id = ?";
/// A range instead of `LIKE`, so that SQLite uses the index on the name; 1114111 is Unicode's last code point, past
/// every letter of a name.
const SEARCH: &str = "\
    SELECT id, name, price_cents FROM products \
    WHERE name >= ?1 COLLATE NOCASE AND name < ?1 || char(1114111) COLLATE NOCASE \
    ORDER BY name COLLATE NOCASE LIMIT ?2";
const CATEGORIES: &str = "\
    SELECT c.id, c.name, (SELECT COUNT(*) FROM products p WHERE p.category_id = c.id) FROM categories c ORDER BY c.id";

/// A product in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Card {
    id: i64,
    name: String,
    price_cents: i64,
}

/// A product on its own page.
#[derive(Debug, Serialize)]
pub(crate) struct Product {
    id: i64,
    name: String,
    category: String,
    description: String,
    price_cents: i64,
    in_stock: bool,
}

/// A category and how many products are in it.
#[derive(Debug, Serialize)]
pub(crate) struct Category {
    id: i64,
    name: String,
    products: i64,
}

/// The query string of `GET /api/products`.
#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    #[serde(default)]
    page: u16,
}

/// The query string of `GET /api/search`.
#[derive(Debug, Deserialize)]
pub(crate) struct SearchQuery {
    #[serde(default)]
    q: String,
}

type CardRow = (i64, String, i64);

fn cards(rows: Vec<CardRow>) -> Json<Vec<Card>> {
    Json(rows.into_iter().map(|(id, name, price_cents)| Card { id, name, price_cents }).collect())
}

/// `GET /api/products?page=`: a page past the end is empty.
pub(crate) async fn list(
    State(shop): State<Arc<Shop>>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Vec<Card>>, Failure> {
    let rows: Vec<CardRow> =
        sqlx::query_as(LIST).bind(i64::from(query.page) * PAGE).bind(PAGE).fetch_all(&shop.database).await?;
    Ok(cards(rows))
}

/// `GET /api/products/{id}`
pub(crate) async fn product(State(shop): State<Arc<Shop>>, Path(id): Path<i64>) -> Result<Json<Product>, Failure> {
    let row: Option<(String, String, String, i64, bool)> =
        sqlx::query_as(ONE).bind(id).fetch_optional(&shop.database).await?;
    let (name, category, description, price_cents, in_stock) = row.ok_or(Failure::NotFound("product"))?;
    Ok(Json(Product { id, name, category, description, price_cents, in_stock }))
}

/// `GET /api/search?q=`: products whose name begins with `q`, in any case.
pub(crate) async fn search(
    State(shop): State<Arc<Shop>>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Vec<Card>>, Failure> {
    if query.q.is_empty() {
        return Err(Failure::Invalid("q: what the name begins with, at least one letter"));
    }
    let rows: Vec<CardRow> = sqlx::query_as(SEARCH).bind(query.q).bind(PAGE).fetch_all(&shop.database).await?;
    Ok(cards(rows))
}

/// `GET /api/categories`
pub(crate) async fn categories(State(shop): State<Arc<Shop>>) -> Result<Json<Vec<Category>>, Failure> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(CATEGORIES).fetch_all(&shop.database).await?;
    Ok(Json(rows.into_iter().map(|(id, name, products)| Category { id, name, products }).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{sickness::Fixes, tests::TestShop};

    #[tokio::test]
    async fn every_query_uses_an_index() {
        let demo = TestShop::open(Fixes::default()).await;
        for (query, index) in [
            (LIST, "SEARCH products USING INTEGER PRIMARY KEY"),
            (ONE, "SEARCH p USING INTEGER PRIMARY KEY"),
            (SEARCH, "SEARCH products USING INDEX products_by_name"),
            (CATEGORIES, "SEARCH p USING COVERING INDEX products_by_category"),
        ] {
            let plan = demo.plan(query).await;
            assert!(plan.contains(index), "{query}: {plan}");
        }
    }
}
