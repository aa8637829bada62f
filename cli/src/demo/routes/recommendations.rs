//! Recommendations for a customer, rendered once and cached.
//!
//! Sick: the time of the visit is part of the cache's key, so that no page is ever found again and none is ever
//! removed: a leak. It stops at [`LEAK_LIMIT`], so that a demo left running cannot exhaust the machine's memory. Fixed:
//! one page a customer, and the oldest page is removed when there are too many.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{
    extract::{Query, State},
    http::header,
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

use crate::{
    demo::{
        failure::Failure,
        shop::Shop,
        sickness::{Fixes, Sickness},
    },
    lock::lock,
};

/// Bytes at which the leak stops: "high" by the memory rules, and below their 1 GB for "critical".
const LEAK_LIMIT: usize = 800 * 1000 * 1000;
/// Pages that the fixed cache keeps.
const PAGES: usize = 64;
/// Products on a page.
const PRODUCTS: i64 = 120;

/// The query string of `GET /api/recommendations`.
#[derive(Debug, Deserialize)]
pub(crate) struct Visitor {
    customer: i64,
}

#[derive(Debug, Serialize)]
struct Recommendation {
    id: i64,
    name: String,
    description: String,
    price_cents: i64,
}

/// The key of a page: the customer and, in the sick shop, the time of the visit.
type Key = (i64, Option<SystemTime>);

/// The rendered pages.
#[derive(Debug)]
pub(crate) struct Pages {
    keying: CacheKey,
    contents: Mutex<CacheContents>,
}

#[derive(Debug, Clone, Copy)]
enum CacheKey {
    ByVisit,
    ByCustomer,
}

#[derive(Debug, Default)]
struct CacheContents {
    pages: HashMap<Key, Arc<str>>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl Pages {
    /// Returns an empty cache, sick or fixed.
    pub(crate) fn new(fixes: &Fixes) -> Self {
        let keying = if fixes.cures(Sickness::Leak) { CacheKey::ByCustomer } else { CacheKey::ByVisit };
        Self { keying, contents: Mutex::default() }
    }

    fn key(&self, customer: i64) -> Key {
        match self.keying {
            CacheKey::ByVisit => (customer, Some(SystemTime::now())),
            CacheKey::ByCustomer => (customer, None),
        }
    }

    fn get(&self, key: &Key) -> Option<Arc<str>> {
        lock(&self.contents).pages.get(key).cloned()
    }

    fn keep(&self, key: Key, page: Arc<str>) {
        let mut contents = lock(&self.contents);
        match self.keying {
            CacheKey::ByVisit if contents.bytes + page.len() > LEAK_LIMIT => return,
            CacheKey::ByCustomer if contents.order.len() >= PAGES => {
                let oldest = contents.order.pop_front().and_then(|key| contents.pages.remove(&key));
                contents.bytes -= oldest.map_or(0, |page| page.len());
            }
            CacheKey::ByVisit | CacheKey::ByCustomer => {}
        }
        contents.bytes += page.len();
        match contents.pages.insert(key, page) {
            // Two requests of one customer missed the cache at the same time and both rendered the page.
            Some(replaced) => contents.bytes -= replaced.len(),
            None => contents.order.push_back(key),
        }
        if matches!(self.keying, CacheKey::ByVisit)
            && contents.bytes + contents.bytes / contents.pages.len() > LEAK_LIMIT
        {
            tracing::warn!(bytes = contents.bytes, "the leak of the demo has reached its limit and stops here");
        }
    }
}

/// `GET /api/recommendations?customer=`
pub(crate) async fn recommendations(
    State(shop): State<Arc<Shop>>,
    Query(visitor): Query<Visitor>,
) -> Result<impl IntoResponse, Failure> {
    let key = shop.recommendations.key(visitor.customer);
    let page = match shop.recommendations.get(&key) {
        Some(page) => page,
        None => {
            let page = render(&shop, visitor.customer).await?;
            shop.recommendations.keep(key, Arc::clone(&page));
            page
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], page.to_string()))
}

/// Renders the products of four categories, which depend on the customer.
async fn render(shop: &Shop, customer: i64) -> Result<Arc<str>, Failure> {
    let rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
        "SELECT id, name, description, price_cents FROM products \
         WHERE category_id IN (SELECT id FROM categories ORDER BY (id + ?1) % 12 LIMIT 4) ORDER BY id LIMIT ?2",
    )
    .bind(customer.rem_euclid(1 << 32))
    .bind(PRODUCTS)
    .fetch_all(&shop.database)
    .await?;
    let products: Vec<_> = rows
        .into_iter()
        .map(|(id, name, description, price_cents)| Recommendation { id, name, description, price_cents })
        .collect();
    let page = serde_json::to_string(&products).expect("structs of strings and numbers are always JSON");
    Ok(page.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(pages: &Pages, customer: i64) -> usize {
        let key = pages.key(customer);
        if pages.get(&key).is_none() {
            pages.keep(key, "x".repeat(1000).into());
        }
        lock(&pages.contents).bytes
    }

    #[test]
    fn the_sick_cache_grows_with_each_visit() {
        let pages = Pages::new(&Fixes::default());
        let bytes = (0..1000).map(|_| visit(&pages, 7)).last();
        assert_eq!(bytes, Some(1_000_000));
    }

    #[test]
    fn the_sick_cache_stops_at_its_limit() {
        let pages = Pages::new(&Fixes::default());
        lock(&pages.contents).bytes = LEAK_LIMIT - 1500;
        let sizes: Vec<_> = (0..3).map(|_| visit(&pages, 7)).collect();
        assert_eq!(sizes, [LEAK_LIMIT - 500; 3]);
    }

    #[test]
    fn the_fixed_cache_keeps_the_latest_customers() {
        let pages = Pages::new(&Fixes::all());
        let bytes = (0..1000).map(|customer| visit(&pages, customer)).last();
        assert_eq!(bytes, Some(PAGES * 1000));
        assert!(pages.get(&pages.key(999)).is_some());
        assert!(pages.get(&pages.key(0)).is_none());
        assert_eq!(lock(&pages.contents).pages.len(), PAGES);
    }
}
