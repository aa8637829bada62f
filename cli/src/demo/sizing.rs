//! How much work the sick routes do, so that they are sick on any machine and in any build.
//!
//! A query that takes two seconds in a debug build on a small machine takes a tenth of that in a release build on a fast
//! one, and would be no finding there. So the sick ways are tried at start, on little work, and the amount that takes
//! the intended time is kept. The fixed ways then answer for the same amount.
//!
//! The time is processor time, not the clock's: on a core that other processes use as well, the clock would count their
//! time too, and the amount of work would be too small once they have ended.

use std::{hint::black_box, ops::RangeInclusive, time::Duration};

use sqlx::SqliteConnection;

use super::{
    password,
    photo::Photo,
    routes::{orders, reports, reviews, suggest},
    seed,
};

/// Intended time of the sick sales report: well over the rules' 1 s, also when the machine is idle.
const REPORT: Duration = Duration::from_millis(1_700);
/// Intended time of the sick query behind a product's reviews: well over the rules' 100 ms.
const REVIEWS: Duration = Duration::from_millis(200);
/// Intended time of the orders page's many queries, if each order has one line. They have two and a half, so that it is over
/// the rules' 5 ms, while the one query of the good way stays far below their 100 ms.
const ORDERS: Duration = Duration::from_millis(3);
/// Intended time of the sick suggestions: twice the 250 ms from which the rules call an answer late, and more than twice what
/// the built-in visitors wait before the next keystroke.
const SUGGESTIONS: Duration = Duration::from_millis(500);
/// Intended time of the sick thumbnail: over the rules' 500 ms, also where the photo's edge cuts its windows; below their 2 s.
const THUMBNAIL: Duration = Duration::from_secs(1);
/// Intended time of a password hash: twice the rules' 100 ms for one poll, and far below their 1 s for a request, since the
/// good way takes it too.
const HASH: Duration = Duration::from_millis(200);
/// Passes of the hash that is tried. The time of a single pass does not predict the time of many: it may spend more on
/// getting its memory from the system than on hashing, depending on what the allocator still holds.
const TRIED_PASSES: u32 = 16;
/// The best of so many tries counts: a cold cache, and what else this process does, only ever make a try slower.
const TRIES: usize = 3;

/// Amounts of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizing {
    /// Days that the sales report covers where the request names none.
    pub(crate) report_days: i64,
    /// Reviews on a page.
    pub(crate) reviews_per_page: i64,
    /// Orders on a page.
    pub(crate) orders_per_page: i64,
    /// Products that suggestions are chosen from.
    pub(crate) suggestion_candidates: i64,
    /// Window of the thumbnails' softening, in pixels.
    pub(crate) softening_window: usize,
    /// Passes of the password hash.
    pub(crate) hash_passes: u32,
}

impl Sizing {
    /// Measures this machine on a filled database that has none of the fixes.
    ///
    /// # Errors
    /// Returns an error when a query or the hash fails.
    pub(crate) async fn measure(connection: &mut SqliteConnection) -> Result<Self, SizingError> {
        let report = best(async || {
            let query = sqlx::query(reports::TOTAL_PER_ORDER).bind(seed::day(0));
            query.fetch_all(&mut *connection).await?;
            Ok(())
        })
        .await?;
        let reviews = best(async || {
            sqlx::query(reviews::SCANNING).bind(1i64).bind(4i64).fetch_all(&mut *connection).await?;
            Ok(())
        })
        .await?;
        let orders = best(async || {
            for id in 1..=50i64 {
                sqlx::query(orders::PRODUCT).bind(id).fetch_one(&mut *connection).await?;
            }
            Ok(())
        })
        .await?;
        let suggestions = best(async || {
            sqlx::query(suggest::COUNTING).bind("%").bind(8i64).fetch_all(&mut *connection).await?;
            Ok(())
        })
        .await?;
        let photo = Photo::of(1);
        let thumbnail = best(async || {
            black_box(photo.thumbnail_by_windows(10));
            Ok(())
        })
        .await?;
        let hash = best(async || {
            black_box(password::hash("a password of usual length", TRIED_PASSES)?);
            Ok(())
        })
        .await?;
        Ok(Self {
            report_days: fit(1.0, report, REPORT, 5.0..=360.0) as i64,
            reviews_per_page: fit(4.0, reviews, REVIEWS, 4.0..=100.0) as i64,
            orders_per_page: fit(50.0, orders, ORDERS, 30.0..=1_000.0) as i64,
            suggestion_candidates: fit(8.0, suggestions, SUGGESTIONS, 8.0..=320.0) as i64,
            // The time grows with the square of the window.
            softening_window: fit(10.0 * 10.0, thumbnail, THUMBNAIL, 64.0..=900.0 * 900.0).sqrt() as usize,
            hash_passes: fit(TRIED_PASSES.into(), hash, HASH, 1.0..=1_000.0) as u32,
        })
    }
}

/// Why the machine could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SizingError {
    /// A query failed.
    #[error("a query of the demo shop failed")]
    Query(#[from] sqlx::Error),
    /// The password hash failed.
    #[error("the password hash failed")]
    Hash(#[from] argon2::password_hash::Error),
}

async fn best(mut work: impl AsyncFnMut() -> Result<(), SizingError>) -> Result<Duration, SizingError> {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let started = processor_time();
        work().await?;
        best = best.min(processor_time().saturating_sub(started));
    }
    Ok(best)
}

/// Returns the processor time of all threads of this process: SQLite works on a thread of its own.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the clock's time where processor time is not available: a busy machine then counts as a slow one.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// Returns the amount that takes `wanted` when `tried` of it took `took`, within what the data allow.
fn fit(tried: f64, took: Duration, wanted: Duration, allowed: RangeInclusive<f64>) -> f64 {
    (tried * wanted.as_secs_f64() / took.as_secs_f64().max(1e-9)).clamp(*allowed.start(), *allowed.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(took_ms: u64, expected: f64) {
        let fitted = fit(2.0, Duration::from_millis(took_ms), Duration::from_secs(1), 4.0..=100.0);
        assert!((fitted - expected).abs() < 1e-9, "{fitted}");
    }

    #[test]
    fn the_amount_follows_the_machine_within_what_the_data_allow() {
        check(100, 20.0);
        check(50, 40.0);
        check(0, 100.0);
        check(900, 4.0);
    }
}
