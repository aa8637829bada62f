//! Cart and checkout.
//!
//! Sick: the stock of a sold-out product would go negative; the table's constraint refuses that, and the error becomes
//! a 500. The receipt goes through one relay only. Fixed: a sold-out product becomes a back order, and the mail fails
//! over.

use std::sync::Arc;

use axum::{Json, extract::State};
use pinchpoint::{in_current_request, track_async_task, track_db_query};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use crate::demo::{failure::Failure, shop::Shop, sickness::Sickness};

/// The body of `POST /api/cart`.
#[derive(Debug, Deserialize)]
pub(crate) struct CartItem {
    cart: String,
    product_id: i64,
    quantity: i64,
}

/// A cart's name, and how many items are in it.
#[derive(Debug, Serialize)]
pub(crate) struct Cart {
    cart: String,
    items: i64,
}

/// The body of `POST /api/checkout`.
#[derive(Debug, Deserialize)]
pub(crate) struct Purchase {
    product_id: i64,
    quantity: i64,
    email: String,
}

/// The answer to a purchase.
#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    order: i64,
    status: &'static str,
    total_cents: i64,
}

fn check_quantity(quantity: i64) -> Result<(), Failure> {
    if (1..=100).contains(&quantity) { Ok(()) } else { Err(Failure::Invalid("quantity: between 1 and 100")) }
}

async fn price(connection: &mut SqliteConnection, product_id: i64) -> Result<i64, Failure> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT price_cents FROM products WHERE id = ?")
        .bind(product_id)
        .fetch_optional(connection)
        .await?;
    Ok(row.ok_or(Failure::NotFound("product"))?.0)
}

/// `POST /api/cart`
pub(crate) async fn add_to_cart(
    State(shop): State<Arc<Shop>>,
    Json(item): Json<CartItem>,
) -> Result<Json<Cart>, Failure> {
    check_quantity(item.quantity)?;
    if item.cart.is_empty() || item.cart.len() > 64 {
        return Err(Failure::Invalid("cart: a name of 1 to 64 bytes"));
    }
    let mut transaction = shop.writer.begin().await?;
    price(&mut transaction, item.product_id).await?;
    sqlx::query("INSERT INTO cart_items VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET quantity = ?3")
        .bind(&item.cart)
        .bind(item.product_id)
        .bind(item.quantity)
        .execute(&mut *transaction)
        .await?;
    let (items,): (i64,) = sqlx::query_as("SELECT COALESCE(SUM(quantity), 0) FROM cart_items WHERE cart = ?")
        .bind(&item.cart)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Json(Cart { cart: item.cart, items }))
}

/// `POST /api/checkout`
pub(crate) async fn checkout(
    State(shop): State<Arc<Shop>>,
    Json(purchase): Json<Purchase>,
) -> Result<Json<Receipt>, Failure> {
    check_quantity(purchase.quantity)?;
    let receipt = buy(&shop, &purchase).await?;
    let text = format!("Thank you for order {}: {} cents.", receipt.order, receipt.total_cents);
    let mail = {
        let shop = Arc::clone(&shop);
        async move {
            if shop.fixes.cures(Sickness::FailingMail) {
                shop.relays.send_with_failover(&purchase.email, &text).await
            } else {
                shop.relays.send_in_turn(&purchase.email, &text).await
            }
        }
    };
    let mail = in_current_request(track_async_task("send_receipt", mail));
    let started = shop.background.start(async {
        if let Err(error) = mail.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "receipt not sent");
        }
    });
    if started.is_err() {
        tracing::warn!(order = receipt.order, "receipt not sent: too much work in the background");
    }
    Ok(Json(receipt))
}

async fn buy(shop: &Shop, purchase: &Purchase) -> Result<Receipt, Failure> {
    let (product_id, quantity) = (purchase.product_id, purchase.quantity);
    let mut transaction = shop.writer.begin().await?;
    let price = price(&mut transaction, product_id).await?;
    let total_cents = price * quantity;

    let take = if shop.fixes.cures(Sickness::CheckoutErrors) {
        "UPDATE stock SET on_hand = on_hand - ?2 WHERE product_id = ?1 AND on_hand >= ?2"
    } else {
        "UPDATE stock SET on_hand = on_hand - ?2 WHERE product_id = ?1"
    };
    let taking = sqlx::query(take).bind(product_id).bind(quantity).execute(&mut *transaction);
    // sqlx's own events do not say whether a query failed; the tracker records it.
    let taken = track_db_query(take, taking).await?;
    let status = if taken.rows_affected() == 1 { "confirmed" } else { "back order" };

    let customer: Option<(i64,)> = sqlx::query_as("SELECT id FROM customers WHERE email = ?")
        .bind(&purchase.email)
        .fetch_optional(&mut *transaction)
        .await?;
    let (customer_id,) = customer.ok_or(Failure::NotFound("customer"))?;
    let (order, day): (i64, String) = sqlx::query_as(
        "INSERT INTO orders (customer_id, day, total_cents) VALUES (?, date('now'), ?) RETURNING id, day",
    )
    .bind(customer_id)
    .bind(total_cents)
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query("INSERT INTO order_lines (order_id, product_id, quantity, price_cents) VALUES (?, ?, ?, ?)")
        .bind(order)
        .bind(product_id)
        .bind(quantity)
        .bind(price)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE products SET sold = sold + ? WHERE id = ?")
        .bind(quantity)
        .bind(product_id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT INTO sales_by_day VALUES (?1, 1, ?2) \
         ON CONFLICT DO UPDATE SET orders = orders + 1, revenue_cents = revenue_cents + ?2",
    )
    .bind(day)
    .bind(total_cents)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Receipt { order, status, total_cents })
}
