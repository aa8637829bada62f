//! Accounts.
//!
//! Sick: registration hashes the password on the runtime's worker, and every other request on that worker waits. Fixed:
//! it hashes on a blocking thread, as login always does.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::demo::{failure::Failure, password, shop::Shop, sickness::Sickness};

/// The body of `POST /api/register`.
#[derive(Debug, Deserialize)]
pub(crate) struct Registration {
    name: String,
    email: String,
    password: String,
}

/// A customer's account.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    customer: i64,
    email: String,
}

/// The body of `POST /api/login`.
#[derive(Debug, Deserialize)]
pub(crate) struct Credentials {
    email: String,
    password: String,
}

/// A customer's session.
#[derive(Debug, Serialize)]
pub(crate) struct Session {
    customer: i64,
    token: String,
}

/// `POST /api/register`
pub(crate) async fn register(
    State(shop): State<Arc<Shop>>,
    Json(registration): Json<Registration>,
) -> Result<(StatusCode, Json<Account>), Failure> {
    let Registration { name, email, password } = registration;
    if !email.contains('@') || email.len() > 254 || name.len() > 200 {
        return Err(Failure::Invalid("email: an address of at most 254 bytes; name: at most 200 bytes"));
    }
    if !(8..=1024).contains(&password.len()) {
        return Err(Failure::Invalid("password: 8 to 1024 bytes"));
    }
    let passes = shop.sizing.hash_passes;
    let hash = if shop.fixes.cures(Sickness::BlockingHash) {
        spawn_blocking(move || password::hash(&password, passes)).await??
    } else {
        password::hash(&password, passes)?
    };
    let row: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO customers (name, email, password_hash) VALUES (?, ?, ?) ON CONFLICT (email) DO NOTHING RETURNING id",
    )
    .bind(name)
    .bind(&email)
    .bind(hash)
    .fetch_optional(&shop.writer)
    .await?;
    let (customer,) = row.ok_or(Failure::Taken)?;
    Ok((StatusCode::CREATED, Json(Account { customer, email })))
}

/// `POST /api/login`: a customer has one session, the latest.
pub(crate) async fn login(
    State(shop): State<Arc<Shop>>,
    Json(credentials): Json<Credentials>,
) -> Result<Json<Session>, Failure> {
    let row: Option<(i64, String)> = sqlx::query_as("SELECT id, password_hash FROM customers WHERE email = ?")
        .bind(&credentials.email)
        .fetch_optional(&shop.database)
        .await?;
    let (customer, stored) = row.ok_or(Failure::Unauthorized)?;
    if !spawn_blocking(move || password::fits(&credentials.password, &stored)).await? {
        return Err(Failure::Unauthorized);
    }
    let (token,): (String,) = sqlx::query_as(
        "INSERT INTO sessions VALUES (?, lower(hex(randomblob(16)))) \
         ON CONFLICT (customer_id) DO UPDATE SET token = excluded.token RETURNING token",
    )
    .bind(customer)
    .fetch_one(&shop.writer)
    .await?;
    Ok(Json(Session { customer, token }))
}
