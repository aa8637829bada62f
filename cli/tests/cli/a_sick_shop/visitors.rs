//! Visitors of the test's own: one request after the other, at a pace that follows how fast the shop answers.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::demo::Demo;

/// The least time between two requests of a visitor, so that on a fast machine no healthy query becomes a frequent one.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
/// The longest time between two requests of a visitor who waits for the answers.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A request; `{n}` in it is how many went before, and `{product}` the id of a product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    pub(crate) is_hurried: bool,
}

pub(crate) const fn get(path: &'static str) -> Visit {
    Visit { method: "GET", path, body: "", is_hurried: false }
}

pub(crate) const fn post(path: &'static str, body: &'static str) -> Visit {
    Visit { method: "POST", path, body, is_hurried: false }
}

impl Visit {
    /// The same request by a visitor who disconnects before the sick answer comes.
    pub(crate) const fn hurried(self) -> Self {
        Self { is_hurried: true, ..self }
    }

    /// Returns the request of a visitor who has made `n` before.
    fn request(&self, client: &Client, base: &str, n: u64) -> RequestBuilder {
        // A step that shares no factor with the number of products visits them all.
        let product = (n * 7 % 320 + 1).to_string();
        let filled = |text: &str| text.replace("{n}", &n.to_string()).replace("{product}", &product);
        let request = client.request(self.method.parse().unwrap(), format!("{base}{}", filled(self.path)));
        if self.body.is_empty() {
            return request;
        }
        request.header("content-type", "application/json").body(filled(self.body))
    }
}

/// How long the sick answer to hurried visitors takes on this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SickAnswer(Duration);

impl SickAnswer {
    /// For visits without a hurried one.
    pub(crate) const UNMEASURED: Self = Self(Duration::MAX);

    /// Measures it: the shortest of five, since the first ones warm the shop up.
    pub(crate) async fn measure(demo: &Demo, visit: &Visit) -> Self {
        let mut visitor = Visitor::new(demo, Self::UNMEASURED);
        let mut shortest = Duration::MAX;
        for _ in 0..5 {
            shortest = shortest.min(visitor.visit(&Visit { is_hurried: false, ..*visit }).await);
        }
        Self(shortest)
    }

    /// Returns how long a hurried visitor waits before disconnecting.
    fn patience(self) -> Duration {
        self.0 * 2 / 5
    }
}

/// A visitor of the shop.
pub(crate) struct Visitor<'a> {
    demo: &'a Demo,
    client: Client,
    answer: SickAnswer,
    visits: u64,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(demo: &'a Demo, answer: SickAnswer) -> Self {
        Self { demo, client: Client::new(), answer, visits: 0 }
    }

    /// Makes all of `visits` in turn, `rounds` times.
    pub(crate) async fn go_round(&mut self, visits: impl Iterator<Item = &Visit> + Clone, rounds: usize) {
        for _ in 0..rounds {
            for visit in visits.clone() {
                let took = self.visit(visit).await;
                // As long again, so that the other visitor has half of the shop's time. After a hurried visit the pause lasts
                // until the shop has done the work, so that it does not pile up.
                let pause = if visit.is_hurried { self.answer.0 } else { took.min(LONGEST_PAUSE) };
                sleep(pause.max(LEAST_PAUSE)).await;
            }
        }
    }

    /// Makes all of `visits` in turn, without a pause and without an end.
    pub(crate) async fn hurry_round(&mut self, visits: &[Visit]) {
        loop {
            for visit in visits {
                self.visit(visit).await;
            }
        }
    }

    /// Makes a visit and returns how long it took.
    async fn visit(&mut self, visit: &Visit) -> Duration {
        let n = self.visits;
        self.visits += 1;
        let mut request = visit.request(&self.client, &self.demo.base, n);
        if visit.is_hurried {
            request = request.timeout(self.answer.patience());
        }
        let began = Instant::now();
        match request.send().await {
            Ok(response) => _ = response.bytes().await,
            Err(error) => assert!(error.is_timeout(), "{}: {error:?}", visit.path),
        }
        began.elapsed()
    }
}

/// Visitors who make the same visit at the same time, over and over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) visitors: usize,
    pub(crate) visit: Visit,
}

impl Crowd {
    /// Has all crowds visit the shop, until the returned set is dropped.
    pub(crate) fn gather(crowds: &'static [Self], demo: &Demo) -> JoinSet<()> {
        let client = Client::new();
        let visitors = crowds.iter().flat_map(|Self { visitors, visit }| std::iter::repeat_n(visit, *visitors));
        visitors.map(|visit| repeat(*visit, client.clone(), demo.base.clone())).collect()
    }
}

async fn repeat(visit: Visit, client: Client, base: String) {
    for n in 0.. {
        let response = visit.request(&client, &base, n).send().await.unwrap();
        response.bytes().await.unwrap();
        sleep(LEAST_PAUSE).await;
    }
}
