//! Invoices, from the archive.
//!
//! Sick: the archive has a pool of two connections, and of the visitors who come at the same time the others wait until one
//! of the two is free. Fixed: there is a connection for each.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;

use crate::demo::{archive::read, failure::Failure, shop::Shop};

const HEAD: &str = "SELECT customer_id, day, total_cents FROM orders WHERE id = ?";
const CUSTOMER: &str = "SELECT name, email FROM customers WHERE id = ?";
const LINES: &str = "\
    SELECT p.name, l.quantity, l.price_cents FROM order_lines l JOIN products p ON p.id = l.product_id \
    WHERE l.order_id = ? ORDER BY l.id";
const BY_CATEGORY: &str = "\
    SELECT c.name, SUM(l.quantity * l.price_cents) FROM order_lines l \
    JOIN products p ON p.id = l.product_id JOIN categories c ON c.id = p.category_id \
    WHERE l.order_id = ? GROUP BY c.name ORDER BY c.name";

/// An invoice.
#[derive(Debug, Serialize)]
pub(crate) struct Invoice {
    order: i64,
    day: String,
    name: String,
    email: String,
    lines: Vec<InvoiceLine>,
    total_cents: i64,
    by_category: Vec<CategorySum>,
}

/// A line of an invoice.
#[derive(Debug, Serialize)]
pub(crate) struct InvoiceLine {
    product: String,
    quantity: i64,
    price_cents: i64,
}

/// What an invoice has in one category, as bookkeeping wants it.
#[derive(Debug, Serialize)]
pub(crate) struct CategorySum {
    category: String,
    cents: i64,
}

/// `GET /api/invoices/{order}`
pub(crate) async fn invoice(State(shop): State<Arc<Shop>>, Path(order): Path<i64>) -> Result<Json<Invoice>, Failure> {
    let mut archive = shop.archive.connection().await?;
    let head = sqlx::query_as(HEAD).bind(order).fetch_optional(&mut **archive);
    let head: Option<(i64, String, i64)> = read(HEAD, head).await?;
    let (customer, day, total_cents) = head.ok_or(Failure::NotFound("order"))?;
    let customer = sqlx::query_as(CUSTOMER).bind(customer).fetch_one(&mut **archive);
    let (name, email): (String, String) = read(CUSTOMER, customer).await?;
    let lines = sqlx::query_as(LINES).bind(order).fetch_all(&mut **archive);
    let lines: Vec<(String, i64, i64)> = read(LINES, lines).await?;
    let sums = sqlx::query_as(BY_CATEGORY).bind(order).fetch_all(&mut **archive);
    let sums: Vec<(String, i64)> = read(BY_CATEGORY, sums).await?;
    drop(archive);

    let line = |(product, quantity, price_cents)| InvoiceLine { product, quantity, price_cents };
    let sum = |(category, cents)| CategorySum { category, cents };
    Ok(Json(Invoice {
        order,
        day,
        name,
        email,
        lines: lines.into_iter().map(line).collect(),
        total_cents,
        by_category: sums.into_iter().map(sum).collect(),
    }))
}
