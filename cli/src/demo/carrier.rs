//! The carrier that brings the shop's parcels: in the story the service of another company.
//!
//! It is an HTTP server of this process, and slow in what it does: it waits, and computes nothing. Its price list is
//! overloaded, and refuses most calls; its labels are printed reliably.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use pinchpoint::track_http_call;
use reqwest::{Client, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

/// Of so many calls of the price list one succeeds; the first is one of those.
const GOOD_ONE_IN: usize = 4;
/// Until the price list is there.
const LISTING: Duration = Duration::from_millis(50);
/// Until an overloaded server says that it is.
const REFUSING: Duration = Duration::from_millis(450);
/// Until a label is printed.
const PRINTING: Duration = Duration::from_millis(250);
/// How long the shop waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

const PRICES: [(&str, i64); 5] = [("AT", 990), ("CH", 1_490), ("DE", 490), ("FR", 1_190), ("NL", 890)];

/// What it costs to bring a parcel, in cents, by the ISO 3166 code of the country.
pub(crate) type Prices = BTreeMap<String, i64>;

/// A label that the carrier has printed.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Label {
    /// Its code, which is scanned on the way.
    pub(crate) code: String,
}

/// What the label is for.
#[derive(Debug, Deserialize)]
struct Parcel {
    order: i64,
}

/// A client of the carrier, and the carrier itself, which stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Carrier {
    client: Client,
    base: String,
    /// How often the price list was asked for.
    #[cfg(test)]
    asked: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Carrier {
    /// Starts the carrier.
    ///
    /// # Errors
    /// Returns an error when the machine has no free port on its loopback address.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        // The carrier is in this process: a proxy that the environment names must not be asked for it.
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().map_err(io::Error::other)?;
        let asked = Arc::<AtomicUsize>::default();
        let app = Router::new()
            .route("/prices", get(list))
            .route("/labels/{number}", post(print))
            .with_state(Arc::clone(&asked));
        let mut server = JoinSet::new();
        server.spawn(async { _ = axum::serve(listener, app).await });
        Ok(Self {
            client,
            base,
            #[cfg(test)]
            asked,
            _server: server,
        })
    }

    /// Asks for the price list, once.
    ///
    /// # Errors
    /// Returns an error when the carrier refuses or does not answer, which it mostly does.
    #[track_caller]
    pub(crate) fn prices(&self) -> impl Future<Output = Result<Prices, reqwest::Error>> {
        let url = format!("{}/prices", self.base);
        let call = self.client.get(&url).send();
        let call = track_http_call("GET", url, call).status(status);
        async { call.await?.error_for_status()?.json().await }
    }

    /// Has the label of this number printed, for what comes back of an order.
    ///
    /// # Errors
    /// Returns an error when the carrier does not answer.
    #[track_caller]
    pub(crate) fn label(&self, number: u64, order: i64) -> impl Future<Output = Result<Label, reqwest::Error>> {
        let url = format!("{}/labels/{number}", self.base);
        let call = self.client.post(&url).json(&json!({ "order": order })).send();
        let call = track_http_call("POST", url, call).status(status);
        async { call.await?.error_for_status()?.json().await }
    }

    /// Returns how often the price list was asked for.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn status(response: &Response) -> u16 {
    response.status().as_u16()
}

/// `GET /prices` of the carrier.
async fn list(State(asked): State<Arc<AtomicUsize>>) -> Result<Json<BTreeMap<&'static str, i64>>, StatusCode> {
    if asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(GOOD_ONE_IN) {
        sleep(LISTING).await;
        Ok(Json(PRICES.into()))
    } else {
        sleep(REFUSING).await;
        Err(StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// `POST /labels/{number}` of the carrier.
async fn print(Path(number): Path<u64>, Json(Parcel { order }): Json<Parcel>) -> Json<Label> {
    sleep(PRINTING).await;
    Json(Label { code: format!("RET-{number:06}-{order}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_price_list_is_refused_three_times_of_four() {
        let carrier = Carrier::start().await.unwrap();
        let mut answered = Vec::new();
        for _ in 0..5 {
            answered.push(carrier.prices().await.is_ok());
        }
        assert_eq!(answered, [true, false, false, false, true]);
    }
}
