//! sqlx on a real PostgreSQL, where queries run on the request's own task (SQLite's run on a thread of the connection).

use axum::{Router, body::Body, extract::State, http::Request, routing::get};
use pinchpoint::{Monitor, SqlxLayer, track_db_query};
use sqlx::PgPool;
use tower::ServiceExt as _;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{self, Samples, built, postgres::Postgres};

fn watching_postgres() -> Monitor {
    built(Monitor::builder().db_system("postgresql"))
}

/// Sets the thread's subscriber: on PostgreSQL the thread that polls the query emits its events.
fn subscribe() -> DefaultGuard {
    tracing::subscriber::set_default(registry().with(SqlxLayer::new()))
}

fn app(monitor: &Monitor, pool: PgPool) -> Router {
    let user = async |State(pool): State<PgPool>| {
        let mut names = Vec::new();
        for id in 1..=3_i64 {
            let name: String =
                sqlx::query_scalar("SELECT 'user ' || $1").bind(id).fetch_one(&pool).await.expect("PostgreSQL answers");
            names.push(name);
        }
        names.join(", ")
    };
    let order = async |State(pool): State<PgPool>| {
        let mut transaction = pool.begin().await.expect("PostgreSQL answers");
        let number: i64 = sqlx::query_scalar("SELECT 1 + $1")
            .bind(41_i64)
            .fetch_one(&mut *transaction)
            .await
            .expect("PostgreSQL answers");
        transaction.commit().await.expect("PostgreSQL answers");
        number.to_string()
    };
    let slow = async |State(pool): State<PgPool>| {
        sqlx::query("SELECT pg_sleep(60)").execute(&pool).await.expect("PostgreSQL answers");
    };
    let tracked = async |State(pool): State<PgPool>| {
        let sleep = sqlx::query("SELECT pg_sleep(60)").execute(&pool);
        track_db_query("SELECT pg_sleep(60)", sleep).await.expect("PostgreSQL answers");
    };
    Router::new()
        .route("/user", get(user))
        .route("/order", get(order))
        .route("/slow", get(slow))
        .route("/tracked", get(tracked))
        .layer(monitor.layer())
        .with_state(pool)
}

/// Returns how many queries all requests of a route made.
fn queries(monitor: &Monitor, route: &str) -> f64 {
    Samples::of(monitor).sum("pinchpoint_request_db_queries_sum", &[&format!("http_route=\"{route}\"")])
}

/// Returns how many queries with this text were counted.
fn counted(monitor: &Monitor, text: &str) -> f64 {
    Samples::of(monitor).calls(&format!("db_query_text=\"{text}\""))
}

#[tokio::test]
async fn concurrent_requests_have_their_own_queries_on_postgresql() {
    let Some(postgres) = Postgres::start().await else { return };
    let pool = postgres.pool().await;
    let _subscriber = subscribe();
    let monitor = watching_postgres();
    let app = app(&monitor, pool.clone());
    for _ in 0..5 {
        let (user, order) = tokio::join!(support::get(&app, "/user"), support::get(&app, "/order"));
        assert_eq!(user, (200, "user 1, user 2, user 3".to_owned()));
        assert_eq!(order, (200, "42".to_owned()));
    }
    assert_eq!(queries(&monitor, "/user"), 15.0);
    assert_eq!(queries(&monitor, "/order"), 10.0, "COMMIT is a query here, and BEGIN is not");
    assert_eq!(counted(&monitor, "COMMIT"), 5.0);
    let text = monitor.recorder().render();
    assert!(text.contains("db_system_name=\"postgresql\""), "{text}");
    assert!(!text.contains("user '"), "no literal: {text}");
    pool.close().await;
}

/// Sends a request that sleeps in the database, and drops it once the database sleeps.
async fn abandon(app: &Router, path: &str, pool: &PgPool) {
    let sleeping = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let mut request = Box::pin(app.clone().oneshot(request));
    loop {
        tokio::select! {
            _ = &mut request => panic!("it sleeps for a minute"),
            sleeping = sqlx::query_scalar::<_, i64>(sleeping).fetch_one(pool) => {
                if sleeping.expect("PostgreSQL answers") == 1 {
                    break;
                }
            }
        }
    }
    drop(request);
    sqlx::query(end).execute(pool).await.expect("PostgreSQL answers");
}

#[tokio::test]
async fn a_query_in_flight_counts_once_for_the_request_whose_client_disconnected() {
    let Some(postgres) = Postgres::start().await else { return };
    let pool = postgres.pool().await;
    let _subscriber = subscribe();
    for path in ["/slow", "/tracked"] {
        let monitor = watching_postgres();
        abandon(&app(&monitor, pool.clone()), path, &pool).await;
        let samples = Samples::of(&monitor);
        let route = format!("http_route=\"{path}\"");
        assert_eq!(samples.requests(&[&route, "error_type=\"cancelled\""]), 1.0, "{path}");
        assert_eq!(queries(&monitor, path), 1.0, "{path}");
        assert_eq!(counted(&monitor, "SELECT pg_sleep(?)"), 1.0, "{path}");
    }
    pool.close().await;
}
