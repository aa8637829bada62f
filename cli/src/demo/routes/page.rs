//! The shop's front page, which lists its routes, and its health.

use std::{fmt::Write as _, sync::Arc};

use axum::{Json, extract::State, response::Html};
use serde_json::{Value, json};

use crate::demo::{shop::Shop, sickness::Sickness};

/// One route of the list.
#[derive(Clone, Copy)]
struct RouteEntry {
    method: &'static str,
    /// A path that a browser can request as it stands.
    example: &'static str,
    /// The body of the example; empty where it needs none.
    body: &'static str,
    what: &'static str,
    sicknesses: &'static [Sickness],
}

const fn entry(method: &'static str, example: &'static str, body: &'static str, what: &'static str) -> RouteEntry {
    RouteEntry { method, example, body, what, sicknesses: &[] }
}

const fn sick(entry: RouteEntry, sicknesses: &'static [Sickness]) -> RouteEntry {
    RouteEntry { sicknesses, ..entry }
}

const LIST: &[RouteEntry] = &[
    entry("GET", "/api/products?page=0", "", "Products, a page at a time"),
    entry("GET", "/api/products/7", "", "One product"),
    entry("GET", "/api/search?q=am", "", "Products whose name begins so"),
    entry("GET", "/api/categories", "", "Categories"),
    entry("GET", "/health", "", "Whether the shop is up"),
    entry("POST", "/api/cart", r#"{"cart":"ada","product_id":7,"quantity":2}"#, "Puts a product into a cart"),
    entry(
        "POST",
        "/api/login",
        r#"{"email":"alan.allen.1@example.com","password":"correct horse battery staple"}"#,
        "Opens a session",
    ),
    sick(entry("GET", "/api/reports/sales", "", "Sales by day, with their running total"), &[Sickness::SlowReport]),
    sick(
        entry(
            "POST",
            "/api/checkout",
            r#"{"product_id":7,"quantity":1,"email":"alan.allen.1@example.com"}"#,
            "Buys a product and mails a receipt",
        ),
        &[Sickness::CheckoutErrors, Sickness::FailingMail],
    ),
    sick(entry("GET", "/api/products/7/reviews", "", "Reviews of a product"), &[Sickness::MissingIndex]),
    sick(entry("GET", "/api/orders", "", "The latest orders"), &[Sickness::NPlusOne]),
    sick(
        entry(
            "POST",
            "/api/register",
            r#"{"name":"Ada","email":"ada@example.com","password":"hunter2hunter2"}"#,
            "Opens an account",
        ),
        &[Sickness::BlockingHash],
    ),
    sick(
        entry("POST", "/api/products/7/thumbnail", "", "Makes a thumbnail in the background"),
        &[Sickness::SlowThumbnails],
    ),
    sick(
        entry("POST", "/api/newsletter", r#"{"email":"ada@example.com"}"#, "Subscribes to the newsletter"),
        &[Sickness::StuckTask],
    ),
    sick(entry("GET", "/api/recommendations?customer=7", "", "Products for a customer"), &[Sickness::Leak]),
    sick(entry("GET", "/api/coupons/SPRING10", "", "A coupon, as printed"), &[Sickness::BrokenLinks]),
    sick(entry("GET", "/api/suggest?q=e", "", "Suggestions while typing"), &[Sickness::LateSuggestions]),
    sick(entry("GET", "/api/invoices/7", "", "The invoice of an order"), &[Sickness::SmallPool]),
    sick(entry("GET", "/api/delivery/DE", "", "What delivery to a country costs"), &[Sickness::RetryStorm]),
    sick(entry("POST", "/api/returns", r#"{"order":7}"#, "Prints a label for what comes back"), &[Sickness::HeldLock]),
];

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <meta name=viewport content=\"width=device-width\"><title>Pinchpoint demo shop</title><style>\
    body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}\
    table{border-collapse:collapse;width:100%}td{border-top:1px solid #ddd;padding:.4rem .6rem;vertical-align:top}\
    @media(max-width:40rem){td{display:block;border:0;padding:0}td:first-child{border-top:1px solid #ddd;padding-top:.4rem}}\
    code{font-size:.85rem;overflow-wrap:anywhere}.sick{color:#b00020}.fixed{color:#1b7a3d}</style>\
    <h1>Pinchpoint demo shop</h1><p>Some of these routes are sick on purpose. See whether \
    <a href=/performance/bottlenecks>/performance/bottlenecks</a> finds them; the numbers behind it are at \
    <a href=/metrics>/metrics</a>.<table>";

/// `GET /`
pub(crate) async fn page(State(shop): State<Arc<Shop>>) -> Html<String> {
    let mut page = HEAD.to_owned();
    for RouteEntry { method, example, body, what, sicknesses } in LIST {
        let link = if *method == "GET" {
            format!("<a href=\"{example}\"><code>GET {example}</code></a>")
        } else if body.is_empty() {
            format!("<code>{method} {example}</code>")
        } else {
            format!("<code>{method} {example}</code><br><code>{body}</code>")
        };
        let states: String = sicknesses.iter().map(|sickness| state(&shop, *sickness)).collect();
        // Writing into a string cannot fail.
        _ = write!(page, "<tr><td>{link}<td>{what}<td>{states}");
    }
    let everywhere = state(&shop, Sickness::ChattySettings);
    _ = write!(page, "<tr><td><code>/api/*</code><td>The settings, in every answer's head<td>{everywhere}");
    page.push_str("</table>");
    Html(page)
}

fn state(shop: &Shop, sickness: Sickness) -> String {
    let word = if shop.fixes.cures(sickness) { "fixed" } else { "sick" };
    format!("<div class={word} title=\"{}\">{word}: {}</div>", sickness.story(), sickness.name())
}

/// `GET /health`
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sickness_is_listed_at_its_route() {
        let listed: Vec<_> = LIST.iter().flat_map(|entry| entry.sicknesses).collect();
        for sickness in Sickness::ALL {
            // The settings are read by every route.
            assert_eq!(listed.contains(&&sickness), sickness != Sickness::ChattySettings, "{}", sickness.name());
        }
    }
}
