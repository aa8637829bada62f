//! The demo's built-in traffic: a handful of customers who visit every route.
//!
//! Each route is visited at a fixed interval, most by one visitor, some by several at the same time, each with one request at
//! a time: a slow answer delays its own visitor only, and there are never more open requests than visitors. The traffic ends
//! when the returned set is dropped.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::seed::{self, COUPONS, Volume};

/// How long a customer waits for suggestions before the next keystroke, at which the browser drops the request.
const NEXT_KEY: Duration = Duration::from_millis(120);
/// How long a customer waits for anything else.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many of the made-up customers visit: more than the fixed cache of recommendations has pages.
const CUSTOMERS: u64 = 500;

/// A route, by how many and how often each of them visits it, and its n-th request.
struct Visit {
    visitors: u64,
    every: Duration,
    patience: Duration,
    ask: fn(u64) -> Ask,
}

/// A request to be made.
struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
}

fn get(path: impl Into<String>) -> Ask {
    Ask { method: Method::GET, path: path.into(), body: None }
}

fn post(path: impl Into<String>, body: Option<Value>) -> Ask {
    Ask { method: Method::POST, path: path.into(), body }
}

fn email(n: u64) -> String {
    seed::customer((n % CUSTOMERS) as i64 + 1).2
}

fn product(n: u64) -> u64 {
    // The step shares no factor with the number of products, so it reaches all of them before it repeats one.
    n * 7 % Volume::DEMO.products as u64 + 1
}

fn order(n: u64) -> u64 {
    n % Volume::DEMO.orders as u64 + 1
}

const fn visit(every_ms: u64, ask: fn(u64) -> Ask) -> Visit {
    visit_by(1, every_ms, ask)
}

const fn visit_by(visitors: u64, every_ms: u64, ask: fn(u64) -> Ask) -> Visit {
    Visit { visitors, every: Duration::from_millis(every_ms), patience: PATIENCE, ask }
}

const VISITS: &[Visit] = &[
    visit(2_000, |_| get("/")),
    visit(1_000, |_| get("/health")),
    visit(500, |n| get(format!("/api/products?page={}", n % 8))),
    visit(200, |n| get(format!("/api/products/{}", product(n)))),
    visit(500, |n| get(format!("/api/search?q={}", ["am", "co", "ve", "ma", "s"][n as usize % 5]))),
    visit(1_000, |_| get("/api/categories")),
    visit(700, |n| {
        let item = json!({ "cart": format!("cart-{}", n % 50), "product_id": product(n), "quantity": n % 3 + 1 });
        post("/api/cart", Some(item))
    }),
    visit(1_500, |n| post("/api/login", Some(json!({ "email": email(n), "password": seed::PASSWORD })))),
    visit(6_000, |_| get("/api/reports/sales")),
    visit(800, |n| post("/api/checkout", Some(json!({ "product_id": product(n), "quantity": 1, "email": email(n) })))),
    visit(2_000, |n| get(format!("/api/products/{}/reviews", product(n)))),
    visit(2_000, |_| get("/api/orders")),
    visit(3_000, |n| {
        // A new address each time, also after a restart on kept data: a known one would be answered with 409.
        let stamp = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let email = format!("visitor.{stamp}.{n}@example.com");
        post("/api/register", Some(json!({ "name": "A visitor", "email": email, "password": "hunter2hunter2" })))
    }),
    visit(6_000, |n| post(format!("/api/products/{}/thumbnail", product(n)), None)),
    visit(4_000, |n| post("/api/newsletter", Some(json!({ "email": email(n) })))),
    // At about 160 kB a visit the leak detector reports the sick cache after seven or eight minutes.
    visit(400, |n| get(format!("/api/recommendations?customer={}", n % CUSTOMERS))),
    visit(1_200, |n| {
        let code = COUPONS[n as usize % COUPONS.len()];
        // Four of five customers type the code as it is printed, in capitals.
        get(if n % 5 == 0 { format!("/api/coupons/{code}") } else { format!("/api/coupons/{}", code.to_uppercase()) })
    }),
    // All at once, and seldom: the sick shop makes those who come last wait for about two seconds, and the machine has little to do.
    visit_by(16, 30_000, |n| get(format!("/api/invoices/{}", order(n)))),
    visit_by(10, 30_000, |n| post("/api/returns", Some(json!({ "order": order(n) })))),
    visit(5_000, |n| get(format!("/api/delivery/{}", ["DE", "AT", "NL"][n as usize % 3]))),
    Visit {
        visitors: 1,
        every: Duration::from_millis(1_500),
        patience: NEXT_KEY,
        ask: |n| get(format!("/api/suggest?q={}", ["e", "a", "o", "l"][n as usize % 4])),
    },
];

/// Starts the traffic against the shop at `address`.
pub(crate) fn start(address: SocketAddr) -> JoinSet<()> {
    let client = Client::new();
    let mut traffic = JoinSet::new();
    for visit in VISITS {
        for visitor in 0..visit.visitors {
            traffic.spawn(repeat(client.clone(), format!("http://{address}"), visit, visitor));
        }
    }
    traffic
}

/// Makes the requests of one of the visitors: of each round that of their own.
async fn repeat(client: Client, base: String, visit: &'static Visit, visitor: u64) {
    let mut rhythm = interval(visit.every);
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0.. {
        let n = round * visit.visitors + visitor;
        rhythm.tick().await;
        let Ask { method, path, body } = (visit.ask)(n);
        let request = client.request(method, format!("{base}{path}")).timeout(visit.patience);
        let request = body.iter().fold(request, RequestBuilder::json);
        // The answer does not matter here, and failures are the monitor's to report; a customer only waits.
        if let Ok(response) = request.send().await {
            _ = response.bytes().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{sickness::Fixes, tests::TestShop};

    #[tokio::test]
    async fn every_visit_finds_what_it_asks_for_in_a_shop_without_sickness() {
        let demo = TestShop::open(Fixes::all()).await;
        for visit in VISITS {
            for n in 0..5 {
                let Ask { method, path, body } = (visit.ask)(n);
                let answer = demo.ask(method.clone(), &path, body).await;
                assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
            }
        }
    }
}
