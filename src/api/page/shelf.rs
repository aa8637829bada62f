//! [`Shelf`]: pages as they were last written, each once for all who look.
//!
//! A page stays as long as the evaluation that it shows is the newest, nobody has changed anything, and it is not old. The invariants that a
//! change could break: of many who ask for one page at a time one writes it; and the memory of the shelf, and what is written at a time, are
//! bounded: a page is written on a thread that may block, of which the service needs the others.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, Semaphore},
    time::Instant,
};

use super::place::{Place, View};
use crate::{api::error::ApiError, lock::lock};

/// Different pages of one state; the oldest makes place for another.
const PAGES: usize = 32;
/// Pages that are written at a time, and those that may wait for that.
const WRITERS: usize = 2;
const WAITING: usize = 64;

/// A page, ready to be sent.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) html: Vec<u8>,
    pub(super) gzip: Vec<u8>,
    /// A strong entity tag of the content.
    pub(super) tag: String,
    pub(super) is_found: bool,
}

/// What a page shows: the number of the evaluation, and how often a person changed something.
type State = (u64, u64);

#[derive(Debug, Default)]
struct Kept {
    state: State,
    since: Option<Instant>,
    pages: HashMap<Place, Arc<OnceCell<Arc<Written>>>>,
    /// The oldest first.
    order: VecDeque<Place>,
}

/// The pages of the newest evaluation.
#[derive(Debug)]
pub(in crate::api) struct Shelf {
    kept: Mutex<Kept>,
    writers: Semaphore,
    waiting: Semaphore,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { kept: Mutex::default(), writers: Semaphore::new(WRITERS), waiting: Semaphore::new(WRITERS + WAITING) }
    }
}

impl Shelf {
    /// Returns the page of a place, written by `write` unless it is there. `oldest` is how old it may be.
    ///
    /// # Errors
    ///
    /// Returns an error where too many pages wait to be written, and that of `write`.
    pub(super) async fn page<F: Future<Output = Result<Arc<Written>, ApiError>>>(
        &self,
        place: &Place,
        state: State,
        oldest: Duration,
        write: impl FnOnce() -> F,
    ) -> Result<Arc<Written>, ApiError> {
        let page = self.slot(place, state, oldest);
        let write = async || {
            let too_many = |_| ApiError::unavailable("too many views are asked for at a time; try again in a moment");
            let _waiting = self.waiting.try_acquire().map_err(too_many)?;
            let _writing =
                self.writers.acquire().await.map_err(|_| ApiError::unavailable("the service is shutting down"))?;
            write().await
        };
        page.get_or_try_init(write).await.cloned()
    }

    fn slot(&self, place: &Place, state: State, oldest: Duration) -> Arc<OnceCell<Arc<Written>>> {
        let now = Instant::now();
        let kept = &mut *lock(&self.kept);
        if kept.state != state || kept.since.is_none_or(|since| now.saturating_duration_since(since) > oldest) {
            *kept = Kept { state, since: Some(now), ..Kept::default() };
        }
        if let Some(page) = kept.pages.get(place) {
            return page.clone();
        }
        if kept.pages.len() == PAGES {
            // Not the overview: most who look, look there.
            let oldest = kept.order.iter().position(|place| place.view != View::Overview).unwrap_or(0);
            if let Some(oldest) = kept.order.remove(oldest) {
                kept.pages.remove(&oldest);
            }
        }
        kept.order.push_back(place.clone());
        kept.pages.entry(place.clone()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::{super::place::tests::place, *};
    const OLDEST: Duration = Duration::from_secs(10);

    struct Counted {
        shelf: Shelf,
        written: AtomicUsize,
    }

    impl Counted {
        async fn ask(&self, place: &Place, state: State) {
            let write = || async {
                tokio::task::yield_now().await;
                self.written.fetch_add(1, Relaxed);
                let tag = String::new();
                Ok(Arc::new(Written { html: Vec::new(), gzip: Vec::new(), tag, is_found: true }))
            };
            self.shelf.page(place, state, OLDEST, write).await.expect("it is written");
        }

        fn written(&self) -> usize {
            self.written.swap(0, Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_written_once_for_all_who_look() {
        let counted = Counted { shelf: Shelf::default(), written: AtomicUsize::new(0) };
        let overview = place(View::Overview);
        futures_util::future::join_all((0..50).map(|_| counted.ask(&overview, (1, 0)))).await;
        assert_eq!(counted.written(), 1);
        counted.ask(&place(View::Rules), (1, 0)).await;
        counted.ask(&overview, (1, 0)).await;
        assert_eq!(counted.written(), 1, "another page");
        counted.ask(&overview, (2, 0)).await;
        counted.ask(&overview, (2, 1)).await;
        assert_eq!(counted.written(), 2, "another evaluation, and a change");
        tokio::time::advance(OLDEST * 2).await;
        counted.ask(&overview, (2, 1)).await;
        assert_eq!(counted.written(), 1, "it was old");
    }

    #[tokio::test]
    async fn the_shelf_has_an_end() {
        let counted = Counted { shelf: Shelf::default(), written: AtomicUsize::new(0) };
        let other = |number: usize| Place { page: number + 1, ..place(View::Endpoints) };
        let overview = place(View::Overview);
        counted.ask(&overview, (1, 0)).await;
        for number in 0..PAGES + 10 {
            counted.ask(&other(number), (1, 0)).await;
        }
        assert_eq!(counted.written(), PAGES + 11);
        counted.ask(&other(PAGES + 9), (1, 0)).await;
        counted.ask(&overview, (1, 0)).await;
        assert_eq!(
            (counted.written(), lock(&counted.shelf.kept).pages.len()),
            (0, PAGES),
            "the newest, and the overview"
        );
        counted.ask(&other(0), (1, 0)).await;
        assert_eq!(counted.written(), 1, "the oldest made place");
    }

    #[tokio::test]
    async fn who_asks_for_too_much_at_a_time_is_told() {
        let shelf = Shelf::default();
        let never = || std::future::pending::<Result<Arc<Written>, ApiError>>();
        let places: Vec<Place> =
            (0..=WRITERS + WAITING).map(|number| Place { page: number + 1, ..place(View::Endpoints) }).collect();
        let mut asked: Vec<_> = places.iter().map(|place| Box::pin(shelf.page(place, (1, 0), OLDEST, never))).collect();
        let mut refused = 0;
        for one in &mut asked {
            refused += usize::from(futures_util::poll!(one).is_ready());
        }
        assert_eq!(refused, 1);
    }
}
