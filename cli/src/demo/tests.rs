//! The shop's routes against a real database, sick and fixed.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, atomic::Ordering},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tower::ServiceExt;
use tracing::Instrument;
use tracing_subscriber::{
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::{
    routes,
    seed::{self, Volume},
    shop::{OpenError, Plan, Shop},
    sickness::{Fix, Fixes, Sickness},
    sizing::Sizing,
};
use crate::lock::lock;

const VOLUME: Volume = Volume { products: 320, customers: 500, orders: 400, reviews: 1_000 };
const SIZING: Sizing = Sizing {
    report_days: 30,
    reviews_per_page: 10,
    orders_per_page: 50,
    suggestion_candidates: 20,
    softening_window: 4,
    hash_passes: 1,
};

/// A shop of little data and little work, in a directory of its own.
pub(super) struct TestShop {
    shop: Arc<Shop>,
    directory: TempDir,
}

/// The answer of a route.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

fn plan(directory: &TempDir, fixes: Fixes) -> Plan {
    Plan { directory: directory.path().to_owned(), volume: VOLUME, fixes, sizing: Some(SIZING) }
}

impl TestShop {
    pub(super) async fn open(fixes: Fixes) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { shop: Shop::open(plan(&directory, fixes)).await.unwrap(), directory }
    }

    async fn sick() -> Self {
        Self::open(Fixes::default()).await
    }

    async fn fixed() -> Self {
        Self::open(Fixes::all()).await
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap();
        let response = routes::router(&self.shop).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Returns SQLite's plan of a query.
    pub(super) async fn plan(&self, query: &str) -> String {
        let query = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let rows = sqlx::query(query).fetch_all(&self.shop.database).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }
}

fn only(sickness: Sickness) -> Fixes {
    Fixes::from_iter([Fix::One(sickness)])
}

fn purchase(product_id: i64) -> Value {
    json!({ "product_id": product_id, "quantity": 2, "email": seed::customer(7).2 })
}

#[tokio::test]
async fn a_fix_changes_no_answer() {
    let (sick, fixed) = (TestShop::sick().await, TestShop::fixed().await);
    for path in [
        "/health",
        "/api/products",
        "/api/products?page=2",
        "/api/products?page=999",
        "/api/products?page=-1",
        "/api/products/7",
        "/api/products/321",
        "/api/search?q=AM",
        "/api/search?q=zz",
        "/api/search",
        "/api/categories",
        "/api/reports/sales",
        "/api/reports/sales?days=1",
        "/api/reports/sales?days=365",
        "/api/reports/sales?days=366",
        "/api/products/7/reviews",
        "/api/products/321/reviews",
        "/api/orders",
        "/api/recommendations?customer=7",
        "/api/recommendations?customer=-1",
        "/api/recommendations?customer=7",
        "/api/coupons/spring10",
        "/api/coupons/winter90",
        "/api/suggest?q=e",
        "/api/suggest?q=Lamp",
        "/api/suggest?q=%25",
        "/api/suggest",
        "/api/invoices/7",
        "/api/invoices/401",
        "/api/delivery/DE",
        "/api/delivery/XX",
    ] {
        let (sick, fixed) = (sick.get(path).await, fixed.get(path).await);
        assert_eq!((sick.status, &sick.body), (fixed.status, &fixed.body), "{path}");
        assert_eq!(sick.headers, fixed.headers, "{path}");
    }
}

#[tokio::test]
async fn a_fix_changes_no_written_data() {
    let (sick, fixed) = (TestShop::sick().await, TestShop::fixed().await);
    for (path, body) in [
        ("/api/cart", json!({ "cart": "ada", "product_id": 7, "quantity": 2 })),
        ("/api/cart", json!({ "cart": "ada", "product_id": 9, "quantity": 3 })),
        ("/api/cart", json!({ "cart": "ada", "product_id": 7, "quantity": 0 })),
        ("/api/cart", json!({ "cart": "ada", "product_id": 999, "quantity": 1 })),
        ("/api/cart", json!({ "cart": "", "product_id": 7, "quantity": 1 })),
        ("/api/checkout", purchase(7)),
        ("/api/checkout", purchase(999)),
        ("/api/checkout", json!({ "product_id": 7, "quantity": 1, "email": "nobody@example.com" })),
        ("/api/register", json!({ "name": "Ada", "email": "ada@example.org", "password": "hunter2hunter2" })),
        ("/api/register", json!({ "name": "Ada", "email": "ada@example.org", "password": "hunter2hunter2" })),
        ("/api/newsletter", json!({ "email": "ada@example.org" })),
        ("/api/newsletter", json!({ "email": "ada@example.org" })),
        ("/api/newsletter", json!({ "email": "ada" })),
        ("/api/returns", json!({ "order": 7 })),
        ("/api/returns", json!({ "order": 401 })),
        ("/api/returns", json!({ "order": 7 })),
        ("/api/register", json!({ "name": "Ada", "email": "ada", "password": "hunter2hunter2" })),
        ("/api/register", json!({ "name": "Ada", "email": "bob@example.org", "password": "short" })),
    ] {
        let (sick, fixed) = (sick.post(path, body.clone()).await, fixed.post(path, body.clone()).await);
        assert_eq!((sick.status, &sick.body), (fixed.status, &fixed.body), "{path} {body}");
    }
    for path in ["/api/orders", "/api/reports/sales?days=1", "/api/suggest?q=e"] {
        assert_eq!(sick.get(path).await.body, fixed.get(path).await.body, "{path}");
    }
}

#[tokio::test]
async fn a_purchase_is_in_orders_and_report() {
    let demo = TestShop::sick().await;
    let receipt = demo.post("/api/checkout", purchase(7)).await.body;
    assert_eq!(receipt["status"], "confirmed");
    let latest = &demo.get("/api/orders").await.body[0];
    assert_eq!((&latest["id"], &latest["total_cents"]), (&receipt["order"], &receipt["total_cents"]));
    let report = demo.get("/api/reports/sales?days=1").await.body;
    assert_eq!(report.as_array().unwrap().last().unwrap()["revenue_cents"], receipt["total_cents"]);
}

#[tokio::test]
async fn a_sold_out_product_fails_the_sick_checkout_only() {
    let sold_out = (1..).find(|id| seed::sold_out(*id)).unwrap();
    let sick = TestShop::sick().await;
    let before = sick.get("/api/orders").await.body;
    let answer = sick.post("/api/checkout", purchase(sold_out)).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body, json!({ "error": "the shop failed, try again later" }));
    assert_eq!(sick.get("/api/orders").await.body, before, "a failed checkout leaves no order");

    let fixed = TestShop::open(only(Sickness::CheckoutErrors)).await;
    let answer = fixed.post("/api/checkout", purchase(sold_out)).await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("back order")));
}

#[tokio::test]
async fn about_one_product_in_five_is_sold_out() {
    let sold_out = (1..=VOLUME.products as i64).filter(|id| seed::sold_out(*id)).count();
    assert_eq!(sold_out * 5, VOLUME.products);
}

#[tokio::test]
async fn the_sick_shop_does_not_find_a_coupon_as_printed() {
    assert_eq!(TestShop::sick().await.get("/api/coupons/SPRING10").await.status, StatusCode::NOT_FOUND);
    let fixed = TestShop::open(only(Sickness::BrokenLinks)).await.get("/api/coupons/SPRING10").await;
    assert_eq!(fixed.body, json!({ "code": "spring10", "percent": 10 }));
}

#[tokio::test]
async fn a_registered_customer_can_log_in_with_the_right_password_only() {
    let demo = TestShop::sick().await;
    let account = json!({ "name": "Ada", "email": "ada@example.org", "password": "hunter2hunter2" });
    assert_eq!(demo.post("/api/register", account.clone()).await.status, StatusCode::CREATED);
    assert_eq!(demo.post("/api/register", account.clone()).await.status, StatusCode::CONFLICT);
    let session = demo.post("/api/login", account).await.body;
    assert_eq!(session["token"].as_str().unwrap().len(), 32);
    for (email, password) in [("ada@example.org", "hunter3hunter3"), ("bob@example.org", "hunter2hunter2")] {
        let answer = demo.post("/api/login", json!({ "email": email, "password": password })).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let made_up = json!({ "email": seed::customer(7).2, "password": seed::PASSWORD });
    assert_eq!(demo.post("/api/login", made_up).await.body["customer"], 7);
}

#[tokio::test]
async fn both_ways_make_the_same_thumbnail() {
    let mut pixels = Vec::new();
    for demo in [TestShop::sick().await, TestShop::fixed().await] {
        let answer = demo.ask(Method::POST, "/api/products/7/thumbnail", None).await;
        assert_eq!((answer.status, &answer.body["state"]), (StatusCode::ACCEPTED, &json!("started")));
        demo.shop.background.finished().await;
        let (kept,): (Vec<u8>,) = sqlx::query_as("SELECT pixels FROM thumbnails WHERE product_id = 7")
            .fetch_one(&demo.shop.database)
            .await
            .unwrap();
        assert!(lock(&demo.shop.rendering).is_empty());
        pixels.push(kept);
    }
    assert_eq!(pixels[0], pixels[1]);
}

#[tokio::test]
async fn a_product_has_one_rendering_at_a_time() {
    let demo = TestShop::sick().await;
    let mut states = Vec::new();
    for id in [7, 7, 8] {
        let answer = demo.ask(Method::POST, &format!("/api/products/{id}/thumbnail"), None).await;
        states.push(answer.body["state"].clone());
    }
    assert_eq!(states, ["started", "under way", "started"]);
}

#[tokio::test]
async fn the_newsletter_task_never_ends_in_the_sick_shop() {
    let subscribed = async |fixes| {
        let demo = TestShop::open(fixes).await;
        let answer = demo.post("/api/newsletter", json!({ "email": "ada@example.org" })).await;
        assert_eq!((answer.status, &answer.body["state"]), (StatusCode::ACCEPTED, &json!("kept")));
        demo
    };
    let fixed = subscribed(only(Sickness::StuckTask)).await;
    fixed.shop.background.finished().await;
    assert!(!fixed.shop.list_server_busy.load(Ordering::Relaxed));

    let sick = subscribed(Fixes::default()).await;
    let patience = Duration::from_millis(300);
    assert!(tokio::time::timeout(patience, sick.shop.background.finished()).await.is_err());
}

#[tokio::test]
async fn the_sick_orders_page_makes_one_query_per_line() {
    let lines = {
        let orders = TestShop::fixed().await.get("/api/orders").await.body;
        let lines = orders.as_array().unwrap().iter().map(|order| order["lines"].as_array().unwrap().len());
        lines.sum::<usize>()
    };
    assert!(lines > 100);
    let quiet = Fix::One(Sickness::ChattySettings);
    assert_eq!(queries_of(Fixes::from_iter([quiet]), "/api/orders").await, 2 + lines);
    assert_eq!(queries_of(Fixes::from_iter([quiet, Fix::One(Sickness::NPlusOne)]), "/api/orders").await, 1);
}

#[tokio::test]
async fn each_request_of_the_sick_shop_reads_each_setting() {
    assert_eq!(queries_of(Fixes::default(), "/api/categories").await, 4 + 1);
    assert_eq!(queries_of(Fixes::default(), "/health").await, 0);
    assert_eq!(queries_of(only(Sickness::ChattySettings), "/api/categories").await, 1);
}

#[tokio::test]
async fn only_the_fixed_recommendations_are_cached() {
    let twice = async |fixes| {
        let path = "/api/recommendations?customer=7";
        let demo = TestShop::open(fixes).await;
        let first = demo.get(path).await.body;
        counted(&demo, async || assert_eq!(demo.get(path).await.body, first)).await
    };
    assert_eq!(twice(only(Sickness::ChattySettings)).await, 1);
    assert_eq!(twice(Fixes::all()).await, 0);
}

#[tokio::test]
async fn the_sick_archive_has_two_connections() {
    let third_comes = async |fixes| {
        let demo = TestShop::open(fixes).await;
        let _both = [demo.shop.archive.connection().await.unwrap(), demo.shop.archive.connection().await.unwrap()];
        tokio::time::timeout(Duration::from_millis(100), demo.shop.archive.connection()).await.is_ok()
    };
    assert!(!third_comes(Fixes::default()).await);
    assert!(third_comes(only(Sickness::SmallPool)).await);
}

#[tokio::test]
async fn an_invoice_adds_up() {
    let invoice = TestShop::sick().await.get("/api/invoices/7").await.body;
    let sum = |list: &str, cents: fn(&Value) -> i64| invoice[list].as_array().unwrap().iter().map(cents).sum::<i64>();
    let of_lines = sum("lines", |line| line["quantity"].as_i64().unwrap() * line["price_cents"].as_i64().unwrap());
    let by_category = sum("by_category", |category| category["cents"].as_i64().unwrap());
    assert!(of_lines > 0);
    assert_eq!([of_lines, by_category], [invoice["total_cents"].as_i64().unwrap(); 2]);
}

#[tokio::test]
async fn the_sick_shop_asks_the_carrier_until_it_answers() {
    let calls_of_two_requests = async |fixes| {
        let demo = TestShop::open(fixes).await;
        for _ in 0..2 {
            assert_eq!(demo.get("/api/delivery/DE").await.body, json!({ "country": "DE", "cents": 490 }));
        }
        demo.shop.carrier.asked()
    };
    assert_eq!(calls_of_two_requests(Fixes::default()).await, 1 + 4);
    assert_eq!(calls_of_two_requests(only(Sickness::RetryStorm)).await, 1);
}

#[tokio::test]
async fn the_sick_shop_holds_the_lock_while_the_carrier_prints() {
    let is_seen_locked = async |fixes| {
        let demo = TestShop::open(fixes).await;
        let seen = std::cell::Cell::new(false);
        // On this one thread the lock is seen between two polls of the request: held where it is held across an await.
        let watch = async {
            loop {
                seen.set(seen.get() || demo.shop.last_return_label.try_lock().is_err());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let answer = tokio::select! {
            answer = demo.post("/api/returns", json!({ "order": 7 })) => answer,
            () = watch => unreachable!("it has no end"),
        };
        assert_eq!(answer.body, json!({ "order": 7, "number": 1, "code": "RET-000001-7" }));
        seen.get()
    };
    assert!(is_seen_locked(Fixes::default()).await);
    assert!(!is_seen_locked(only(Sickness::HeldLock)).await);
}

#[tokio::test]
async fn the_data_are_the_same_each_time() {
    let first = TestShop::sick().await.dump().await;
    assert_eq!(first, TestShop::fixed().await.dump().await);
    insta::assert_debug_snapshot!("the_data", first);
}

#[tokio::test]
async fn kept_data_are_opened_again() {
    let demo = TestShop::sick().await;
    let bought = demo.post("/api/checkout", purchase(7)).await.body;
    demo.shop.close().await;
    let shop = Shop::open(plan(&demo.directory, Fixes::all())).await.unwrap();
    let again = TestShop { shop, directory: demo.directory };
    assert_eq!(again.get("/api/orders").await.body[0]["id"], bought["order"]);
}

#[tokio::test]
async fn a_database_of_another_program_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut theirs = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE theirs (id INTEGER)").execute(&mut theirs).await.unwrap();

    let error = Shop::open(plan(&directory, Fixes::default())).await.unwrap_err();
    assert!(matches!(&error, OpenError::Foreign { path: named } if *named == path), "{error}");
    let (tables,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&mut theirs).await.unwrap();
    assert_eq!(tables, 1);
    theirs.close().await.unwrap();
}

#[tokio::test]
async fn the_machine_is_measured_within_what_the_data_allow() {
    let directory = tempfile::tempdir().unwrap();
    let measured = Plan { sizing: None, ..plan(&directory, Fixes::all()) };
    let sizing = Shop::open(measured).await.unwrap().sizing;
    assert!((5..=360).contains(&sizing.report_days), "{sizing:?}");
    assert!((4..=100).contains(&sizing.reviews_per_page), "{sizing:?}");
    assert!((30..=1_000).contains(&sizing.orders_per_page), "{sizing:?}");
    assert!((8..=320).contains(&sizing.suggestion_candidates), "{sizing:?}");
    assert!((8..=900).contains(&sizing.softening_window), "{sizing:?}");
    assert!(sizing.hash_passes >= 1, "{sizing:?}");
}

impl TestShop {
    /// Returns the rows of each table and a digest (FNV-1a) of their content.
    async fn dump(&self) -> Vec<(String, usize, String)> {
        let tables: Vec<(String, String)> = sqlx::query_as(
            "SELECT t.name, (SELECT group_concat(quote(c.name)) FROM pragma_table_info(t.name) c) \
             FROM sqlite_schema t WHERE t.type = 'table' ORDER BY t.name",
        )
        .fetch_all(&self.shop.database)
        .await
        .unwrap();
        let mut dump = Vec::new();
        for (table, columns) in tables {
            let columns = columns.replace('\'', "\"");
            let sql = AssertSqlSafe(format!("SELECT json_array({columns}) FROM {table} ORDER BY 1"));
            let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&self.shop.database).await.unwrap();
            let digest = rows
                .iter()
                .flat_map(|row| row.0.bytes())
                .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
            dump.push((table, rows.len(), format!("{digest:016x}")));
        }
        dump
    }
}

async fn queries_of(fixes: Fixes, path: &str) -> usize {
    let demo = TestShop::open(fixes).await;
    counted(&demo, async || assert_eq!(demo.get(path).await.status, StatusCode::OK)).await
}

/// Returns how many queries `work` makes, from sqlx's own events. The connections' threads emit them inside the span of
/// the caller, so that tests that run at the same time do not count each other's.
async fn counted(demo: &TestShop, work: impl AsyncFnOnce()) -> usize {
    LazyLock::force(&SUBSCRIBED);
    let span = tracing::error_span!("counted");
    let id = span.id().unwrap().into_u64();
    work().instrument(span).await;
    // Closing waits for the connections' threads: afterwards every event has been emitted.
    demo.shop.close().await;
    lock(&COUNTS).remove(&id).unwrap_or(0)
}

static SUBSCRIBED: LazyLock<()> = LazyLock::new(|| tracing_subscriber::registry().with(CountQueries).init());
static COUNTS: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

struct CountQueries;

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for CountQueries {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query"
            && let Some(span) = context.lookup_current()
        {
            *lock(&COUNTS).entry(span.id().into_u64()).or_default() += 1;
        }
    }
}
