//! The shop's routes, one file for each part of the shop.

pub(super) mod catalogue;
pub(super) mod checkout;
pub(super) mod coupons;
pub(super) mod customers;
pub(super) mod delivery;
pub(super) mod invoices;
pub(super) mod newsletter;
pub(super) mod orders;
pub(super) mod page;
pub(super) mod recommendations;
pub(super) mod reports;
pub(super) mod returns;
pub(super) mod reviews;
pub(super) mod settings;
pub(super) mod suggest;
pub(super) mod thumbnails;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use super::shop::Shop;

/// Returns the router of the shop, without the monitor's layer and routes.
pub(crate) fn router(shop: &Arc<Shop>) -> Router {
    let api = Router::new()
        .route("/api/products", get(catalogue::list))
        .route("/api/products/{id}", get(catalogue::product))
        .route("/api/products/{id}/reviews", get(reviews::reviews))
        .route("/api/products/{id}/thumbnail", post(thumbnails::render))
        .route("/api/search", get(catalogue::search))
        .route("/api/suggest", get(suggest::suggest))
        .route("/api/categories", get(catalogue::categories))
        .route("/api/recommendations", get(recommendations::recommendations))
        .route("/api/coupons/{code}", get(coupons::coupon))
        .route("/api/cart", post(checkout::add_to_cart))
        .route("/api/checkout", post(checkout::checkout))
        .route("/api/delivery/{country}", get(delivery::delivery))
        .route("/api/orders", get(orders::latest))
        .route("/api/invoices/{order}", get(invoices::invoice))
        .route("/api/returns", post(returns::start))
        .route("/api/register", post(customers::register))
        .route("/api/login", post(customers::login))
        .route("/api/newsletter", post(newsletter::subscribe))
        .route("/api/reports/sales", get(reports::sales))
        .route_layer(from_fn_with_state(Arc::clone(shop), settings::add_headers));
    Router::new()
        .route("/", get(page::page))
        .route("/health", get(page::health))
        .merge(api)
        .with_state(Arc::clone(shop))
}
