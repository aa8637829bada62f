//! What delivery to a country costs: the carrier has the price list.
//!
//! Sick: when the carrier refuses, which it does when it is overloaded, the shop asks again at once. Fixed: it keeps the
//! last list, and tries once a minute to get a newer one.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;

use crate::{
    demo::{
        carrier::{Carrier, Prices},
        failure::Failure,
        shop::Shop,
    },
    lock::lock,
};

/// Calls that the sick shop makes for one answer. More than it needs: while others ask as well, theirs may be the call that
/// succeeds.
const TRIES: usize = 20;
/// From this age on the kept list is asked for again.
const FRESH: Duration = Duration::from_secs(60);

/// The price list of the carrier's last answer.
#[derive(Debug)]
pub(crate) struct LastPrices(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    prices: Prices,
    /// When the carrier was last asked, whatever it answered.
    asked: Instant,
}

impl LastPrices {
    /// Gets the first list.
    ///
    /// # Errors
    /// Returns the carrier's last error when none of [`TRIES`] calls succeeds.
    pub(crate) async fn fetch(carrier: &Carrier) -> Result<Self, reqwest::Error> {
        let prices = ask_until_answered(carrier).await?;
        Ok(Self(Mutex::new(Kept { prices, asked: Instant::now() })))
    }

    /// Returns the list, for which the carrier is asked at most once, and in most cases not at all.
    async fn get(&self, carrier: &Carrier, now: Instant) -> Prices {
        if self.is_due(now)
            && let Ok(prices) = carrier.prices().await
        {
            lock(&self.0).prices = prices;
        }
        lock(&self.0).prices.clone()
    }

    /// Returns whether the carrier is to be asked, which is then for the caller to do and for no other.
    fn is_due(&self, now: Instant) -> bool {
        let mut kept = lock(&self.0);
        let is_due = now.saturating_duration_since(kept.asked) >= FRESH;
        if is_due {
            kept.asked = now;
        }
        is_due
    }
}

async fn ask_until_answered(carrier: &Carrier) -> Result<Prices, reqwest::Error> {
    for _ in 1..TRIES {
        if let Ok(prices) = carrier.prices().await {
            return Ok(prices);
        }
    }
    carrier.prices().await
}

/// What it costs to bring a parcel to a country.
#[derive(Debug, Serialize)]
pub(crate) struct Delivery {
    country: String,
    cents: i64,
}

/// `GET /api/delivery/{country}`
pub(crate) async fn delivery(
    State(shop): State<Arc<Shop>>,
    Path(country): Path<String>,
) -> Result<Json<Delivery>, Failure> {
    let prices = match &shop.last_prices {
        Some(last) => last.get(&shop.carrier, Instant::now()).await,
        None => ask_until_answered(&shop.carrier).await?,
    };
    let cents = *prices.get(&country).ok_or(Failure::NotFound("country that we deliver to"))?;
    Ok(Json(Delivery { country, cents }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kept_list_is_asked_for_once_a_minute_and_survives_a_refusal() {
        let carrier = Carrier::start().await.unwrap();
        let last = LastPrices::fetch(&carrier).await.unwrap();
        let first = Instant::now();
        let prices = last.get(&carrier, first).await;
        assert_eq!((prices["DE"], carrier.asked()), (490, 1));
        // The carrier refuses its second call.
        assert_eq!(last.get(&carrier, first + FRESH).await, prices);
        assert_eq!(last.get(&carrier, first + FRESH + Duration::from_secs(59)).await, prices);
        assert_eq!(carrier.asked(), 2);
    }
}
