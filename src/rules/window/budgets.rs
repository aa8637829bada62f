//! [`Budgets`]: the error budgets of every objective, kept up to date from tick to tick.
//!
//! Each budget is a set of windows that slide over the wall clock; a tick adds what ended since the last one, and rescans nothing. What
//! an earlier run of the service measured, and what was measured before a rule was edited, comes from the slots of the trend tiers, once.
//! They hold failures and durations by endpoint, and their grid has the exposed edges, so that both sources count alike. The
//! invariant that a change could break: every request that the tiers have is in the windows once, whatever restored or cleared them.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    rules::{
        budget::Budget,
        evaluate::endpoint,
        rule::Rule,
        slo::{BURN_WINDOWS, BadRequests, PRESENT, RequestCounts, Slo, SloScope},
        subject::Subject,
    },
    store::{Counts, EndpointNames, History, SlidingCounts, SlotEntry, TickRequests, Tiers, TimedSlot, first_slower},
};

/// Endpoints that a budget names as those with the most bad requests.
const WORST: usize = 5;

/// The error budgets of every objective.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    books: Vec<Book>,
    /// That of the tiers that was followed last.
    generation: u64,
    /// When it was brought up to date, since the Unix epoch.
    now: Duration,
    /// From when on requests are known.
    since: Option<Duration>,
}

/// The budgets of one objective, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct ObjectiveReading {
    pub(crate) rule: Arc<Rule>,
    /// From when on its requests are known, since the Unix epoch.
    pub(crate) since: Duration,
    pub(crate) budgets: Vec<Budget>,
}

/// The budgets of every objective, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct BudgetReadings(pub(crate) Vec<ObjectiveReading>);

impl BudgetReadings {
    /// Returns the budgets of a rule.
    pub(crate) fn of(&self, rule: &str) -> &[Budget] {
        self.0.iter().find(|reading| *reading.rule.id == *rule).map_or(&[], |reading| &reading.budgets)
    }
}

impl Budgets {
    /// Returns empty budgets of the objectives among some rules.
    pub(crate) fn new(rules: &[Arc<Rule>], generation: u64, now: Duration) -> Self {
        let books = rules.iter().filter_map(|rule| Book::of(rule, now)).collect();
        Self { books, generation, now, since: None }
    }

    /// Takes what `tiers` recorded of the latest tick of `history`. Where the rules, the slots or the clock were changed since the last
    /// tick, it counts all slots anew.
    pub(crate) fn follow(&mut self, rules: &[Arc<Rule>], tiers: &Tiers, history: &History, wall: Duration) {
        let objectives = rules.iter().filter(|rule| rule.slo.is_some());
        let is_same = self.books.len() == objectives.clone().count()
            && self.books.iter().zip(objectives).all(|(book, rule)| Arc::ptr_eq(&book.rule, rule));
        if !is_same || self.generation != tiers.generation() || wall < self.now || self.since.is_none() {
            self.count_anew(rules, tiers, wall);
            return;
        }
        self.now = wall;
        for book in &mut self.books {
            tiers.visit_latest(history, |requests| book.note(requests));
            book.enter(wall, wall, tiers.endpoints());
        }
    }

    /// Counts what the slots hold.
    fn count_anew(&mut self, rules: &[Arc<Rule>], tiers: &Tiers, wall: Duration) {
        *self = Self::new(rules, tiers.generation(), wall);
        let Some(longest) = self.books.iter().map(|book| book.slo.window).max() else { return };
        let slots = tiers.slots(wall.saturating_sub(longest), Duration::MAX);
        for slot in slots.iter().chain(&tiers.current()) {
            self.add_slot(slot, tiers.endpoints(), wall);
        }
        self.since.get_or_insert(wall);
    }

    /// Adds a slot at a time, after those that begin earlier.
    pub(crate) fn add_slot(&mut self, slot: &TimedSlot, names: &EndpointNames, now: Duration) {
        self.now = self.now.max(now);
        let measured = slot.slot.measured();
        if self.since.is_none() && !measured.is_zero() {
            // Of a slot that was measured in part it is not known in which.
            self.since = Some((slot.start + slot.length).min(now).saturating_sub(measured));
        }
        let middle = slot.start + slot.length / 2;
        for book in &mut self.books {
            slot.slot.endpoints().for_each(|entry| book.note_entry(&entry));
            book.enter(middle, self.now, names);
        }
    }

    /// Moves the windows up to a time, and returns the budgets.
    pub(crate) fn readings(&mut self, now: Duration) -> BudgetReadings {
        self.now = self.now.max(now);
        let (now, since) = (self.now, self.since.unwrap_or(self.now));
        BudgetReadings(self.books.iter_mut().map(|book| book.reading(now, since)).collect())
    }
}

/// The budgets of one objective.
#[derive(Debug)]
struct Book {
    rule: Arc<Rule>,
    slo: Slo,
    /// First bucket of the grid whose durations are bad; `None` where errors are.
    slow: Option<u8>,
    /// By the endpoint's number.
    choices: Vec<Choice>,
    /// By the endpoint's number: what is to be entered.
    requests: Vec<Counts>,
    /// Endpoints of which there are requests to enter.
    touched: Vec<u32>,
    windows: BookWindows,
}

/// Whether an objective is about an endpoint.
#[derive(Clone, Debug, Default)]
enum Choice {
    #[default]
    New,
    LeftAlone,
    Chosen(Arc<Subject>),
}

#[derive(Debug)]
enum BookWindows {
    /// All requests, and of each endpoint those of [`PRESENT`].
    Service { all: Box<Windows>, present: BTreeMap<u32, (Arc<Subject>, SlidingCounts)> },
    /// By the endpoint's number.
    Endpoints(BTreeMap<u32, Windows>),
}

impl Book {
    fn of(rule: &Arc<Rule>, now: Duration) -> Option<Self> {
        let slo = rule.slo.clone()?;
        let slow = match slo.bad {
            BadRequests::Errors => None,
            BadRequests::SlowerThan(seconds) => Some(first_slower(seconds)),
        };
        let windows = match slo.scope {
            SloScope::Service => {
                let subject = Arc::new(Subject::new(SloScope::Service.as_str(), Vec::new()));
                BookWindows::Service { all: Box::new(Windows::new(subject, &slo, now)), present: BTreeMap::new() }
            }
            SloScope::Endpoint => BookWindows::Endpoints(BTreeMap::new()),
        };
        let (choices, requests, touched) = (Vec::new(), Vec::new(), Vec::new());
        Some(Self { rule: rule.clone(), slo, slow, choices, requests, touched, windows })
    }

    fn note(&mut self, TickRequests { endpoint, failed, bucket, count }: TickRequests) {
        let is_bad = self.slow.map_or(failed, |slow| bucket >= slow);
        let total = u64::from(count);
        self.count(endpoint, Counts { total, bad: if is_bad { total } else { 0 } });
    }

    fn note_entry(&mut self, entry: &SlotEntry<'_>) {
        let bad = match self.slow {
            None => entry.errors,
            Some(slow) => {
                entry.buckets().filter(|(bucket, _)| *bucket >= usize::from(slow)).map(|(_, count)| count).sum()
            }
        };
        self.count(entry.endpoint, Counts { total: entry.count, bad });
    }

    fn count(&mut self, endpoint: u32, counts: Counts) {
        let at = endpoint as usize;
        if self.requests.len() <= at {
            self.requests.resize(at + 1, Counts::default());
        }
        if self.requests[at].total == 0 && counts.total > 0 {
            self.touched.push(endpoint);
        }
        self.requests[at] += counts;
    }

    /// Enters into the windows what was noted, as having ended at a time.
    fn enter(&mut self, at: Duration, now: Duration, names: &EndpointNames) {
        for number in std::mem::take(&mut self.touched) {
            let counts = std::mem::take(&mut self.requests[number as usize]);
            let Some(subject) = self.choose(number, names) else { continue };
            match &mut self.windows {
                BookWindows::Service { all, present } => {
                    all.add(at, counts);
                    let (_, window) = present.entry(number).or_insert_with(|| {
                        let mut window = SlidingCounts::new(PRESENT);
                        window.advance(now);
                        (subject, window)
                    });
                    window.add(at, counts);
                }
                BookWindows::Endpoints(endpoints) => {
                    let windows = endpoints.entry(number).or_insert_with(|| Windows::new(subject, &self.slo, now));
                    windows.add(at, counts);
                }
            }
        }
    }

    /// Returns an endpoint as a subject; `None` where the rule leaves it alone.
    fn choose(&mut self, number: u32, names: &EndpointNames) -> Option<Arc<Subject>> {
        let at = number as usize;
        if self.choices.len() <= at {
            self.choices.resize(at + 1, Choice::New);
        }
        if let Choice::New = self.choices[at] {
            // Requests that matched no route have no name that is a method and a route.
            let subject = names.name(number).and_then(|name| endpoint(name));
            let chosen = subject.filter(|subject| self.rule.applies_to(subject));
            self.choices[at] = chosen.map_or(Choice::LeftAlone, |subject| Choice::Chosen(Arc::new(subject)));
        }
        match &self.choices[at] {
            Choice::Chosen(subject) => Some(subject.clone()),
            Choice::New | Choice::LeftAlone => None,
        }
    }

    fn reading(&mut self, now: Duration, since: Duration) -> ObjectiveReading {
        let known = now.saturating_sub(since).min(self.slo.window);
        let budgets = match &mut self.windows {
            BookWindows::Service { all, present } => {
                present.retain(|_, (_, window)| {
                    window.advance(now);
                    window.sum() != Counts::default()
                });
                all.advance(now);
                let worst = worst(present.values().map(|(subject, window)| (&subject.name, counts(window))));
                // Without a single request there is no budget yet.
                let budget = all.budget(known, worst);
                if budget.whole.total > 0 { vec![budget] } else { Vec::new() }
            }
            BookWindows::Endpoints(endpoints) => {
                endpoints.retain(|_, windows| {
                    windows.advance(now);
                    windows.whole.sum() != Counts::default()
                });
                let budget = |windows: &Windows| {
                    let own = windows.counts(PRESENT);
                    windows.budget(known, worst([(&windows.subject.name, own)].into_iter()))
                };
                endpoints.values().map(budget).collect()
            }
        };
        ObjectiveReading { rule: self.rule.clone(), since: now.saturating_sub(known), budgets }
    }
}

/// Returns those with the most bad requests.
fn worst<'a>(endpoints: impl Iterator<Item = (&'a Arc<str>, RequestCounts)>) -> Vec<(Arc<str>, RequestCounts)> {
    let mut worst: Vec<_> = endpoints.filter(|(_, counts)| counts.bad > 0).collect();
    worst.sort_by_key(|(name, counts)| (Reverse(counts.bad), *name));
    worst.into_iter().take(WORST).map(|(name, counts)| (name.clone(), counts)).collect()
}

fn counts(window: &SlidingCounts) -> RequestCounts {
    let Counts { total, bad } = window.sum();
    RequestCounts { total, bad }
}

/// The windows of one budget.
#[derive(Debug)]
struct Windows {
    subject: Arc<Subject>,
    burning: [SlidingCounts; BURN_WINDOWS.len()],
    whole: SlidingCounts,
}

impl Windows {
    fn new(subject: Arc<Subject>, slo: &Slo, now: Duration) -> Self {
        let (burning, whole) = (BURN_WINDOWS.map(SlidingCounts::new), SlidingCounts::new(slo.window));
        let mut windows = Self { subject, burning, whole };
        windows.advance(now);
        windows
    }

    fn each(&mut self) -> impl Iterator<Item = &mut SlidingCounts> {
        self.burning.iter_mut().chain([&mut self.whole])
    }

    fn advance(&mut self, now: Duration) {
        self.each().for_each(|window| window.advance(now));
    }

    fn add(&mut self, at: Duration, counts: Counts) {
        self.each().for_each(|window| window.add(at, counts));
    }

    fn counts(&self, window: Duration) -> RequestCounts {
        BURN_WINDOWS
            .iter()
            .zip(&self.burning)
            .find(|(length, _)| **length == window)
            .map_or_else(RequestCounts::default, |(_, window)| counts(window))
    }

    fn budget(&self, known: Duration, worst: Vec<(Arc<str>, RequestCounts)>) -> Budget {
        Budget {
            subject: self.subject.clone(),
            burning: std::array::from_fn(|at| counts(&self.burning[at])),
            whole: counts(&self.whole),
            known,
            worst,
        }
    }
}
