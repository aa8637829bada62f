//! Finds the bottlenecks of an axum service from inside it, shows their causes, and serves metrics to Prometheus.
//!
//! ```text
//!  request ─► MonitorLayer ─► metrics facade ─► cells ─┬─► GET /metrics
//!                │  this request's queries, tasks,     │ every tick: what changed
//!                │  time inside poll                   ▼
//!  track_db_query · track_async_task · SqlxLayer     windows ─► rules ─► bottlenecks, with the evidence
//!                                                                        │
//!                                    GET /performance/* · events · pinchpoint_bottleneck
//! ```
//!
//! # Quick start
//!
//! ```standalone_crate
//! use axum::{Router, routing::get};
//! use pinchpoint::{Monitor, track_db_query};
//!
//! # async fn fetch(id: u64) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitor = Monitor::builder().install()?;
//! let user = || async {
//!     track_db_query("SELECT * FROM users WHERE id = ?", fetch(7)).await.unwrap_or_default()
//! };
//! let app: Router = Router::new()
//!     .route("/users/{id}", get(user))
//!     .layer(monitor.layer())
//!     .merge(monitor.router());
//! # let _ = app;
//! monitor.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! Then open `/performance/bottlenecks`, and let Prometheus scrape `/metrics`. The default rules are compiled in;
//! [`MonitorBuilder::rules_dir`] reads yours, [`Settings`] the rest of the configuration, from a file and the environment.
//!
//! # What is measured
//!
//! - Every request, from its first poll to the last byte of its response, also one that is cancelled or panics:
//!   [`MonitorLayer`].
//! - Every query and task, attributed to the request that issued it: [`track_db_query`], [`track_async_task`],
//!   [`in_current_request`]; and with [`SqlxLayer`] sqlx's queries without a change to the code.
//! - What else a request waits for: calls to other services ([`HttpClientLayer`], [`track_http_call`]), locks, permits, channels and connections
//!   ([`track_wait`], [`track_hold`]), blocking threads ([`spawn_blocking`]), its client, and a worker of the runtime.
//! - Event streams and WebSockets: how many are open, for how long, and their messages ([`upgraded`], [`track_messages`]).
//! - Pools of connections: how many are used, idle and waited for ([`Monitor::watch_pool`]).
//! - The process, its memory limit and the tokio runtime; and with a [`Sampler`] whatever else you read.
//!
//! # What is never stored
//!
//! No value of a query, header, query string or body: a query is known by its text without literals.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `openapi` | `/performance/openapi.json`: a description of every answer | yes |
//! | `report` | `/performance/report` as HTML and Markdown; without it, as JSON only | yes |
//! | `page` | `/performance` as a live page for browsers; and a form that asks for a token; without it, `/performance` redirects to the report | no |
//! | `schema` | [`RuleSet::json_schema`]: a JSON schema of rule files, for editors; the references of rules and metrics | yes |
//! | `alloc` | [`CountingAllocator`]: the bytes that each request allocates, and the routes whose memory is never freed | no |
//! | `archive` | [`MonitorBuilder::history_file`]: trends that survive a restart, and the comparison of versions | no |
//! | `deliver` | [`MonitorBuilder::alert_receiver`]: sends alerts to Alertmanagers, webhooks and commands; compiles an HTTP client with TLS | no |
//! | `export` | [`export`]: alerts for Prometheus, as the command `pinchpoint rules export` writes them | no |
//! | `replay` | [`replay`]: unit tests of rules, and rules on what was stored, as `pinchpoint rules test`, `replay` and `suggest` run them | no |
//! | `reqwest-middleware` | [`ReqwestMiddleware`]: the calls of a reqwest client | no |
//! | `sqlx` | [`SqlxLayer`]: sqlx's and SeaORM's queries, from their own `tracing` events; no database driver | no |

// A link to an item of a feature that is switched off leads nowhere.
#![cfg_attr(
    not(all(
        feature = "alloc",
        feature = "archive",
        feature = "deliver",
        feature = "export",
        feature = "replay",
        feature = "reqwest-middleware",
        feature = "schema",
        feature = "sqlx"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod alert;
pub mod analysis;
mod api;
mod context;
#[cfg(feature = "export")]
pub mod export;
mod http;
mod lock;
#[cfg(feature = "report")]
#[doc(hidden)]
pub mod markup;
mod monitor;
mod names;
#[cfg(feature = "replay")]
pub mod replay;
mod rules;
mod sample;
mod store;
pub mod testing;
mod track;

pub use context::{Database, InCurrentRequest, InvalidDatabaseUrl, UrlScheme, in_current_request, set_trace, upgraded};
pub use http::{MonitorBody, MonitorFuture, MonitorLayer, MonitorService, RouteTemplate};
pub use monitor::{Access, BuildError, Control, Monitor, MonitorBuilder, Settings, SettingsError};
#[cfg(feature = "deliver")]
pub use monitor::{AlertReceiver, Secret, TestedReceiver};
#[cfg(feature = "schema")]
pub use names::metrics_reference_markdown;
#[cfg(feature = "alloc")]
pub use pinchpoint_alloc::CountingAllocator;
#[cfg(feature = "schema")]
pub use rules::causes_reference_markdown;
pub use rules::{Breach, LoadError, LoadProblem, ObservedEndpoint, RuleSet, Severity};
pub use sample::{PoolState, Sampler};
pub use store::MonitorRecorder;
#[cfg(feature = "reqwest-middleware")]
pub use track::ReqwestMiddleware;
#[cfg(feature = "sqlx")]
pub use track::SqlxLayer;
pub use track::{
    CallBody, CodeOf, Held, HttpClientFuture, HttpClientLayer, HttpClientService, NoCode, SpawnBlocking,
    TrackAsyncTask, TrackDbQuery, TrackHold, TrackHttpCall, TrackMessages, TrackWait, record_db_query, spawn_blocking,
    track_async_task, track_db_query, track_hold, track_http_call, track_messages, track_wait,
};
