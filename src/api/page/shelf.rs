//! [`Shelf`]: pages as they were last written, each once for all who look.
//!
//! A page stays as long as the evaluation that it shows is the newest, nobody has changed anything, and it is not old. The invariants that a
//! change could break: of many who ask for one page at a time one writes it; and the memory of the shelf is bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};

use super::place::Place;
use crate::lock::lock;

/// Different pages of one state. What is asked for beyond is written anew each time.
const PAGES: usize = 32;

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
}

/// The pages of the newest evaluation.
#[derive(Debug, Default)]
pub(in crate::api) struct Shelf(Mutex<Kept>);

impl Shelf {
    /// Returns the page of a place, written by `write` unless it is there. `oldest` is how old it may be.
    pub(super) async fn page<E, F: Future<Output = Result<Arc<Written>, E>>>(
        &self,
        place: &Place,
        state: State,
        oldest: Duration,
        write: impl FnOnce() -> F,
    ) -> Result<Arc<Written>, E> {
        let Some(page) = self.slot(place, state, oldest) else { return write().await };
        page.get_or_try_init(write).await.cloned()
    }

    fn slot(&self, place: &Place, state: State, oldest: Duration) -> Option<Arc<OnceCell<Arc<Written>>>> {
        let now = Instant::now();
        let mut kept = lock(&self.0);
        if kept.state != state || kept.since.is_none_or(|since| now.saturating_duration_since(since) > oldest) {
            *kept = Kept { state, since: Some(now), pages: HashMap::new() };
        }
        if let Some(page) = kept.pages.get(place) {
            return Some(page.clone());
        }
        (kept.pages.len() < PAGES).then(|| kept.pages.entry(place.clone()).or_default().clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::{super::place::tests::place, *};
    use crate::api::page::place::View;

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
                Ok::<_, ()>(Arc::new(Written { html: Vec::new(), gzip: Vec::new(), tag, is_found: true }))
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
        for _ in 0..2 {
            for number in 0..PAGES + 10 {
                counted.ask(&other(number), (1, 0)).await;
            }
        }
        assert_eq!(counted.written(), PAGES + 20);
    }
}
