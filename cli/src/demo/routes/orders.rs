//! The latest orders with their lines, and each product's rating by customers who still have an account.
//!
//! Sick: one query for the orders, one for their lines, and one more for the product of each line (N+1). Fixed: one
//! join.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use crate::demo::{failure::Failure, shop::Shop, sickness::Sickness};

const LATEST: &str = "SELECT o.id, o.day, o.total_cents, c.name FROM orders o JOIN customers c ON c.id = o.customer_id \
    ORDER BY o.id DESC LIMIT ?";
const LINES: &str = "SELECT order_id, product_id, quantity, price_cents FROM order_lines \
    WHERE order_id IN (SELECT id FROM orders ORDER BY id DESC LIMIT ?) ORDER BY order_id DESC, id";
/// Parameter: the product's id.
pub(crate) const PRODUCT: &str = "\
    SELECT p.name, (SELECT ROUND(AVG(r.stars), 1) FROM reviews r JOIN customers c ON c.id = r.customer_id \
    WHERE r.product_id = p.id) FROM products p WHERE p.id = ?";
const JOINED: &str = "\
    WITH latest AS (SELECT * FROM orders ORDER BY id DESC LIMIT ?), \
    lines AS (SELECT l.* FROM order_lines l JOIN latest o ON o.id = l.order_id), \
    ratings AS MATERIALIZED ( \
        SELECT r.product_id, ROUND(AVG(r.stars), 1) AS stars FROM reviews r JOIN customers c ON c.id = r.customer_id \
        WHERE r.product_id IN (SELECT product_id FROM lines) GROUP BY r.product_id \
    ) \
    SELECT o.id, o.day, o.total_cents, c.name, p.name, l.quantity, l.price_cents, r.stars \
    FROM lines l JOIN latest o ON o.id = l.order_id JOIN customers c ON c.id = o.customer_id \
    JOIN products p ON p.id = l.product_id LEFT JOIN ratings r ON r.product_id = p.id \
    ORDER BY o.id DESC, l.id";

/// An order.
#[derive(Debug, Serialize)]
pub(crate) struct Order {
    id: i64,
    day: String,
    customer: String,
    total_cents: i64,
    lines: Vec<Line>,
}

/// A line of an order.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    product: String,
    stars: Option<f64>,
    quantity: i64,
    price_cents: i64,
}

/// `GET /api/orders`
pub(crate) async fn latest(State(shop): State<Arc<Shop>>) -> Result<Json<Vec<Order>>, Failure> {
    let orders =
        if shop.fixes.cures(Sickness::NPlusOne) { in_one_query(&shop).await? } else { line_by_line(&shop).await? };
    Ok(Json(orders))
}

async fn line_by_line(shop: &Shop) -> Result<Vec<Order>, sqlx::Error> {
    let page = shop.sizing.orders_per_page;
    let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(LATEST).bind(page).fetch_all(&shop.database).await?;
    let mut orders: Vec<_> = rows
        .into_iter()
        .map(|(id, day, total_cents, customer)| Order { id, day, customer, total_cents, lines: Vec::new() })
        .collect();
    let lines: Vec<(i64, i64, i64, i64)> = sqlx::query_as(LINES).bind(page).fetch_all(&shop.database).await?;
    for (order_id, product_id, quantity, price_cents) in lines {
        let (product, stars): (String, Option<f64>) =
            sqlx::query_as(PRODUCT).bind(product_id).fetch_one(&shop.database).await?;
        // An order that was placed between the two queries has lines here but is not in the list.
        if let Some(order) = orders.iter_mut().find(|order| order.id == order_id) {
            order.lines.push(Line { product, stars, quantity, price_cents });
        }
    }
    Ok(orders)
}

async fn in_one_query(shop: &Shop) -> Result<Vec<Order>, sqlx::Error> {
    type Row = (i64, String, i64, String, String, i64, i64, Option<f64>);
    let rows: Vec<Row> = sqlx::query_as(JOINED).bind(shop.sizing.orders_per_page).fetch_all(&shop.database).await?;
    let mut orders: Vec<Order> = Vec::new();
    for (id, day, total_cents, customer, product, quantity, price_cents, stars) in rows {
        let line = Line { product, stars, quantity, price_cents };
        match orders.last_mut() {
            Some(order) if order.id == id => order.lines.push(line),
            _ => orders.push(Order { id, day, customer, total_cents, lines: vec![line] }),
        }
    }
    Ok(orders)
}
