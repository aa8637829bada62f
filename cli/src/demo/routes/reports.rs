//! The owner's report: sales by day, with their running total.
//!
//! Sick: the query adds the running total up from all orders, again for each order. Fixed: it reads a summary table of
//! one row a day, which checkout keeps up to date.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};

use crate::demo::{failure::Failure, seed, shop::Shop, sickness::Sickness};

/// Parameter: the first day.
pub(crate) const TOTAL_PER_ORDER: &str = "\
    SELECT o.day, COUNT(*), SUM(o.total_cents), \
    MAX((SELECT SUM(e.total_cents) FROM orders e WHERE e.day BETWEEN ?1 AND o.day)) \
    FROM orders o WHERE o.day >= ?1 GROUP BY o.day ORDER BY o.day";
const SUMMARY: &str = "\
    SELECT day, orders, revenue_cents, SUM(revenue_cents) OVER (ORDER BY day) \
    FROM sales_by_day WHERE day >= ?1 ORDER BY day";

/// The query string: how many days the report goes back from the last made-up day.
#[derive(Debug, Deserialize)]
pub(crate) struct Period {
    days: Option<i64>,
}

/// The sales of one day.
#[derive(Debug, Serialize)]
pub(crate) struct DayOfSales {
    day: String,
    orders: i64,
    revenue_cents: i64,
    running_total_cents: i64,
}

/// `GET /api/reports/sales?days=`
pub(crate) async fn sales(
    State(shop): State<Arc<Shop>>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<DayOfSales>>, Failure> {
    let days = period.days.unwrap_or(shop.sizing.report_days);
    if !(1..=365).contains(&days) {
        return Err(Failure::Invalid("days: between 1 and 365"));
    }
    let query = if shop.fixes.cures(Sickness::SlowReport) { SUMMARY } else { TOTAL_PER_ORDER };
    let rows: Vec<(String, i64, i64, i64)> =
        sqlx::query_as(query).bind(seed::day(days - 1)).fetch_all(&shop.reports).await?;
    let day = |(day, orders, revenue_cents, running_total_cents)| DayOfSales {
        day,
        orders,
        revenue_cents,
        running_total_cents,
    };
    Ok(Json(rows.into_iter().map(day).collect()))
}
