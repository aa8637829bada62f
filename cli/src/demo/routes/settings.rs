//! The settings in the headers of every `/api` answer: currency, tax, delivery and the notice of the day.
//!
//! Sick: each request looks each setting up in the history of its changes. Fixed: the shop reads them once, at start.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::HeaderValue,
    middleware::Next,
    response::Response,
};
use sqlx::SqliteConnection;

use crate::demo::{failure::Failure, shop::Shop, sickness::Sickness};

/// `LIKE`, since the case of a name must not matter; no index helps with it.
const ONE: &str = "SELECT value FROM settings WHERE name LIKE ? ORDER BY changed_at DESC LIMIT 1";

/// The settings that the owner of the shop can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// ISO 4217 code of every price.
    pub(crate) currency: String,
    /// Value added tax that the prices contain.
    pub(crate) vat_percent: String,
    /// How long a delivery takes.
    pub(crate) delivery_days: String,
    /// The notice of the day.
    pub(crate) notice: String,
}

impl Settings {
    /// Reads all settings in one query.
    ///
    /// # Errors
    /// Returns an error when the query fails; a setting that is missing is empty.
    pub(crate) async fn read_all(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT name, value, MAX(changed_at) FROM settings GROUP BY name")
                .fetch_all(connection)
                .await?;
        let setting = |name| rows.iter().find(|row| row.0 == name).map(|row| row.1.clone()).unwrap_or_default();
        Ok(Self {
            currency: setting("currency"),
            vat_percent: setting("vat_percent"),
            delivery_days: setting("delivery_days"),
            notice: setting("notice"),
        })
    }

    async fn read_each(shop: &Shop) -> Result<Self, sqlx::Error> {
        let setting = async |name: &'static str| {
            let row: Option<(String,)> = sqlx::query_as(ONE).bind(name).fetch_optional(&shop.database).await?;
            Ok::<_, sqlx::Error>(row.map(|row| row.0).unwrap_or_default())
        };
        Ok(Self {
            currency: setting("currency").await?,
            vat_percent: setting("vat_percent").await?,
            delivery_days: setting("delivery_days").await?,
            notice: setting("notice").await?,
        })
    }
}

/// Adds the settings to the answer's headers.
pub(crate) async fn add_headers(
    State(shop): State<Arc<Shop>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let settings = if shop.fixes.cures(Sickness::ChattySettings) {
        shop.settings.clone()
    } else {
        Settings::read_each(&shop).await?
    };
    let mut response = next.run(request).await;
    let head = [
        ("x-currency", settings.currency),
        ("x-vat-percent", settings.vat_percent),
        ("x-delivery-days", settings.delivery_days),
        ("x-notice", settings.notice),
    ];
    for (name, value) in head {
        // A value with a line break cannot be a header and is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
