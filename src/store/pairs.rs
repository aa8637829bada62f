//! [`Pairs`]: which pairs of an endpoint and a statement `/metrics` shows.
//!
//! There are up to routes times statements of them. At most `limit` are shown, those that take the most time; the others count as
//! one pair of their endpoint, with the statement `other`. So do those whose statement has no text on the page. The invariant that a
//! change could break: no counter that is shown ever falls, and nothing is counted twice. So a pair that is shown later begins at
//! zero, and what it counted before stays in `other`; what a pair counted while it was shown goes with its line.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use metrics::Label;

use super::series::{Cell, Index};
use crate::{
    context::Part,
    lock::lock,
    names::{self, Folded},
};

/// Counters of a pair, in the order of [`names::FOLDED`].
const COUNTERS: usize = names::FOLDED.len();
/// Which of them is its time, by which pairs are compared.
const TIME: usize = 1;
/// Share of a pair's weight that is left after a tick, so that the last minutes count most: a half after seven ticks.
const KEPT: f64 = 0.9;
/// How many times as much time as a shown pair a hidden one takes that replaces it. Pairs that take about the same would
/// otherwise take turns.
const LEAD: f64 = 2.0;
/// The part of the pairs that is replaced at a tick at most.
const REPLACED: usize = 10;

type Counts = [u64; COUNTERS];

/// An endpoint's use of a statement.
#[derive(Debug)]
struct Pair {
    /// Where its counters are in the index, and which they are: each may be given back alone, and come again at zero.
    cells: [Option<(u32, usize)>; COUNTERS],
    /// What counters that are gone had counted.
    before: Counts,
    is_shown: bool,
    /// Whether `/metrics` has the text of its statement. Without it, and so for the statements that have no place of their own,
    /// the pair is a part of `other`.
    has_text: bool,
    /// What it counted while it was hidden, up to the last time that it was shown.
    hidden: Counts,
    /// Its counters when it was hidden last.
    since: Counts,
    /// Its counters when they were read last.
    seen: Counts,
    /// Its time in the last minutes, in nanoseconds.
    weight: f64,
    /// Its time at the last tick.
    time: u64,
}

impl Pair {
    fn new(is_shown: bool, has_text: bool) -> Self {
        let (cells, none) = ([None; COUNTERS], Counts::default());
        Self { cells, before: none, is_shown, has_text, hidden: none, since: none, seen: none, weight: 0.0, time: 0 }
    }

    fn see(&mut self, index: &Index) {
        for (at, place) in self.cells.iter().enumerate() {
            if let Some(Cell::Counter(cell)) = place.map(|(place, _)| &index.series[place as usize].cell) {
                self.seen[at] = self.before[at] + cell.read();
            }
        }
    }

    /// Takes the places of its counters in a new index.
    fn take(&mut self, cells: [Option<(u32, usize)>; COUNTERS]) {
        for (at, (old, new)) in self.cells.iter().zip(&cells).enumerate() {
            if old.map(|(_, address)| address) != new.map(|(_, address)| address) {
                self.before[at] = self.seen[at];
            }
        }
        self.cells = cells;
    }

    /// Returns what of its counts is in `other`.
    fn folded(&self) -> Counts {
        let open = |at: usize| if self.is_shown { 0 } else { self.seen[at].saturating_sub(self.since[at]) };
        std::array::from_fn(|at| self.hidden[at] + open(at))
    }

    /// Takes the time since the last tick into its weight.
    fn weigh(&mut self) {
        let time = self.seen[TIME].saturating_sub(std::mem::replace(&mut self.time, self.seen[TIME]));
        self.weight = self.weight * KEPT + time as f64;
    }

    fn show(&mut self) {
        (self.hidden, self.is_shown) = (self.folded(), true);
    }

    fn hide(&mut self) {
        (self.since, self.is_shown) = (self.seen, false);
    }
}

/// The labels of an endpoint.
type Endpoint = (Arc<str>, Arc<str>);

/// The counters of a pair as they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Method and route.
    pub(super) endpoint: Endpoint,
    /// Identifier of the statement, or `other`.
    pub(super) statement: Arc<str>,
    /// In the order of [`names::FOLDED`].
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
struct State {
    /// By the labels of its series.
    pairs: HashMap<Vec<Label>, Pair>,
    shown: usize,
    /// What was counted in `other` of pairs that exist no more.
    gone: BTreeMap<Endpoint, Counts>,
    /// The index that `pairs` were read from.
    index: Option<Index>,
}

/// The pairs of one recorder.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    limit: AtomicUsize,
    state: Mutex<State>,
}

impl Pairs {
    pub(super) fn set_limit(&self, pairs: usize) {
        self.limit.store(pairs, Relaxed);
    }

    fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Compares the pairs that are shown with those that are not, where there are any.
    pub(super) fn tick(&self, index: &Index) {
        let state = &mut *lock(&self.state);
        state.read(index, self.limit());
        if state.shown < state.pairs.len() {
            state.see();
            state.pairs.values_mut().for_each(Pair::weigh);
            state.replace(self.limit(), self.limit() / REPLACED + 1);
        }
    }

    /// Returns the lines of the pairs, sorted.
    pub(super) fn lines(&self, index: &Index) -> Vec<Line> {
        let state = &mut *lock(&self.state);
        state.read(index, self.limit());
        state.see();
        let mut lines: BTreeMap<(Endpoint, Arc<str>), Counts> = BTreeMap::new();
        let mut count = |endpoint, statement, counts: &Counts| {
            let line = lines.entry((endpoint, statement)).or_default();
            line.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        };
        for (labels, pair) in &state.pairs {
            let folded = pair.folded();
            if pair.is_shown {
                let shown = std::array::from_fn(|at| pair.seen[at].saturating_sub(folded[at]));
                count(endpoint_of(labels), value_of(labels, names::WAIT_NAME), &shown);
            }
            if folded != Counts::default() {
                count(endpoint_of(labels), names::OTHER.into(), &folded);
            }
        }
        state.gone.iter().for_each(|(endpoint, counts)| count(endpoint.clone(), names::OTHER.into(), counts));
        let line = |((endpoint, statement), counts)| Line { endpoint, statement, counts };
        lines.into_iter().map(line).collect()
    }
}

impl State {
    /// Takes the pairs that are new in `index`, as long as there is room, and forgets those that are gone.
    fn read(&mut self, index: &Index, limit: usize) {
        // A scrape may have fetched its index before the last tick.
        if self.index.as_ref().is_some_and(|known| !index.is_newer_than(known)) {
            return;
        }
        self.index = Some(index.clone());
        let texts = index.named(names::DB_QUERY_INFO.name).iter();
        let texts: HashSet<&str> =
            texts.filter_map(|place| index.series[*place as usize].meta.label(names::DB_QUERY_ID)).collect();
        let has_text = |name: &str| name != names::OTHER && texts.contains(name);
        let mut found: HashMap<Vec<Label>, [Option<(u32, usize)>; COUNTERS]> = HashMap::new();
        for (at, Folded { of, .. }) in names::FOLDED.iter().enumerate() {
            for place in index.named(of.name) {
                let series = &index.series[*place as usize];
                let labels: Vec<Label> = series.meta.key.labels().cloned().collect();
                if *value_of(&labels, names::WAIT_KIND) == *Part::Db.label() {
                    let has_text = has_text(&value_of(&labels, names::WAIT_NAME));
                    let pair = self.pairs.entry(labels.clone()).or_insert_with(|| {
                        let is_shown = has_text && self.shown < limit;
                        self.shown += usize::from(is_shown);
                        Pair::new(is_shown, has_text)
                    });
                    pair.has_text = has_text;
                    if pair.is_shown && !has_text {
                        pair.hide();
                        self.shown -= 1;
                    }
                    found.entry(labels).or_default()[at] = Some((*place, series.cell.address()));
                }
            }
        }
        let Self { pairs, gone, shown, .. } = self;
        pairs.retain(|labels, pair| {
            if let Some(cells) = found.remove(labels) {
                pair.take(cells);
                return true;
            }
            *shown -= usize::from(pair.is_shown);
            let folded = pair.folded();
            if folded != Counts::default() {
                let counts = gone.entry(endpoint_of(labels)).or_default();
                counts.iter_mut().zip(folded).for_each(|(sum, count)| *sum += count);
            }
            false
        });
    }

    fn see(&mut self) {
        if let Some(index) = &self.index {
            self.pairs.values_mut().for_each(|pair| pair.see(index));
        }
    }

    /// Shows hidden pairs where there is room below `limit`, and those that take much more time than some that are shown in their
    /// places, at most `most`.
    fn replace(&mut self, limit: usize, most: usize) {
        let weights = |is_shown| {
            let of = self.pairs.iter().filter(move |(_, pair)| pair.is_shown == is_shown && pair.has_text);
            let mut weights: Vec<(f64, Vec<Label>)> = of.map(|(labels, pair)| (pair.weight, labels.clone())).collect();
            weights.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            weights
        };
        let (lightest, mut heaviest) = (weights(true), weights(false));
        while self.shown < limit
            && let Some((_, comes)) = heaviest.pop()
        {
            self.pairs.get_mut(&comes).into_iter().for_each(Pair::show);
            self.shown += 1;
        }
        let pairs = lightest.into_iter().zip(heaviest.into_iter().rev()).take(most);
        for ((shown, leaves), (hidden, comes)) in pairs {
            if hidden <= shown * LEAD {
                break;
            }
            self.pairs.get_mut(&leaves).into_iter().for_each(Pair::hide);
            self.pairs.get_mut(&comes).into_iter().for_each(Pair::show);
        }
    }
}

fn endpoint_of(labels: &[Label]) -> Endpoint {
    (value_of(labels, names::METHOD), value_of(labels, names::ROUTE))
}

fn value_of(labels: &[Label], name: &str) -> Arc<str> {
    labels.iter().find(|label| label.key() == name).map_or("", Label::value).into()
}

#[cfg(test)]
mod tests {
    use metrics::{Counter, Gauge};

    use super::*;
    use crate::{context::labelled, store::MonitorRecorder};

    struct Statement([Counter; COUNTERS]);

    fn counter(recorder: &MonitorRecorder, name: &str, at: usize) -> Counter {
        let labels = [
            (names::METHOD, "GET".into()),
            (names::ROUTE, "/a".into()),
            (names::WAIT_KIND, Part::Db.label().into()),
            (names::WAIT_NAME, name.into()),
        ];
        labelled::counter(recorder, names::FOLDED[at].of, &labels)
    }

    /// Shows the text of a statement, as long as the handle lives.
    fn text(recorder: &MonitorRecorder, name: &str) -> Gauge {
        let labels = [(names::DB_QUERY_ID, name.into()), (names::DB_QUERY_TEXT, "SELECT 1".into())];
        let text = labelled::gauge(recorder, &names::DB_QUERY_INFO, &labels);
        text.set(1.0);
        text
    }

    impl Statement {
        fn new(recorder: &MonitorRecorder, name: &str) -> Self {
            drop(text(recorder, name));
            Self::without_text(recorder, name)
        }

        fn without_text(recorder: &MonitorRecorder, name: &str) -> Self {
            Self(std::array::from_fn(|at| counter(recorder, name, at)))
        }

        fn run(&self, times: u64, millis: u64) {
            self.0[0].increment(times);
            self.0[TIME].increment(times * millis * 1_000_000);
        }
    }

    fn limited(limit: usize) -> Pairs {
        let pairs = Pairs::default();
        pairs.set_limit(limit);
        pairs
    }

    fn calls(pairs: &Pairs, recorder: &MonitorRecorder) -> Vec<(String, u64)> {
        let lines = pairs.lines(&recorder.index());
        lines.into_iter().map(|line| (line.statement.to_string(), line.counts[0])).collect()
    }

    fn expect(pairs: &Pairs, recorder: &MonitorRecorder, expected: &[(&str, u64)]) {
        let expected: Vec<_> = expected.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect();
        assert_eq!(calls(pairs, recorder), expected);
    }

    #[test]
    fn the_time_of_a_pair_is_what_it_is_compared_by() {
        assert_eq!(names::FOLDED[TIME].of.name, names::ENDPOINT_USE_NANOS.name);
    }

    #[test]
    fn pairs_past_the_limit_count_as_other_and_the_largest_are_shown_in_time() {
        let (recorder, pairs) = (MonitorRecorder::new(100, Vec::new()), limited(2));
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| {
            let statement = Statement::new(&recorder, name);
            statement.run(10, 1);
            statement
        });
        expect(&pairs, &recorder, &[("a", 10), ("b", 10), ("other", 20)]);
        pairs.tick(&recorder.index());
        expect(&pairs, &recorder, &[("a", 10), ("b", 10), ("other", 20)]);
        d.run(5, 100);
        a.run(1, 1);
        c.run(1, 1);
        pairs.tick(&recorder.index());
        // What `d` counted before it is shown stays in `other`, and what `b` counts from now on joins it.
        expect(&pairs, &recorder, &[("a", 11), ("d", 0), ("other", 26)]);
        b.run(2, 1);
        d.run(3, 1);
        expect(&pairs, &recorder, &[("a", 11), ("d", 3), ("other", 28)]);
        b.run(1, 1000);
        pairs.tick(&recorder.index());
        expect(&pairs, &recorder, &[("b", 10), ("d", 3), ("other", 29)]);
        b.run(1, 1);
        expect(&pairs, &recorder, &[("b", 11), ("d", 3), ("other", 29)]);
    }

    /// Has what is not in use give its places back.
    fn give_back(recorder: &MonitorRecorder) {
        let start = tokio::time::Instant::now();
        let minute = std::time::Duration::from_secs(60);
        let mut history = crate::store::History::new(start, [minute]);
        for tick in 1..5 {
            history.tick(&recorder.index(), start + minute * tick);
            recorder.give_back_places(&mut history);
        }
    }

    #[test]
    fn what_statements_counted_that_are_gone_stays_in_other() {
        let (recorder, pairs) = (MonitorRecorder::new(100, Vec::new()), limited(1));
        let names = ["a", "b"].map(|name| Statement::new(&recorder, name));
        names.iter().for_each(|statement| statement.run(4, 1));
        expect(&pairs, &recorder, &[("a", 4), ("other", 4)]);
        drop(names);
        give_back(&recorder);
        expect(&pairs, &recorder, &[("other", 4)]);
        Statement::new(&recorder, "c").run(1, 1);
        expect(&pairs, &recorder, &[("c", 1), ("other", 4)]);
    }

    #[test]
    fn statements_without_a_place_are_part_of_other_and_a_counter_that_comes_again_goes_on() {
        let (recorder, pairs) = (MonitorRecorder::new(100, Vec::new()), limited(2));
        let _texts = ["b", "c"].map(|name| text(&recorder, name));
        let [other, b, c] = [names::OTHER, "b", "c"].map(|name| Statement::without_text(&recorder, name));
        other.run(100, 1_000);
        b.run(1, 1);
        c.run(2, 1);
        expect(&pairs, &recorder, &[("b", 1), ("c", 2), ("other", 100)]);
        pairs.tick(&recorder.index());
        expect(&pairs, &recorder, &[("b", 1), ("c", 2), ("other", 100)]);
        drop(b);
        let start = tokio::time::Instant::now();
        let minute = std::time::Duration::from_secs(60);
        let mut history = crate::store::History::new(start, [minute]);
        for tick in 1..5 {
            // Of the counters of `b` one is used longer than the others.
            let calls = (tick < 4).then(|| counter(&recorder, "b", 0));
            history.tick(&recorder.index(), start + minute * tick);
            calls.into_iter().for_each(|calls| calls.increment(1));
            recorder.give_back_places(&mut history);
            expect(&pairs, &recorder, &[("b", 1 + u64::from(tick.min(3))), ("c", 2), ("other", 100)]);
        }
        Statement::new(&recorder, "b").run(5, 1);
        expect(&pairs, &recorder, &[("b", 9), ("c", 2), ("other", 100)]);
        assert_eq!(pairs.lines(&recorder.index())[0].counts[TIME], 6_000_000);
    }

    #[test]
    fn pairs_past_the_limit_of_series_count_as_other_of_their_endpoint() {
        // Room for the counters of one pair, and as many again for what is folded.
        let (recorder, pairs) = (MonitorRecorder::new(COUNTERS, Vec::new()), limited(100));
        // They take no place of a pair.
        let other = Statement::new(&recorder, names::OTHER);
        let [a, b, c] = ["a", "b", "c"].map(|name| Statement::new(&recorder, name));
        drop(other);
        a.run(1, 1);
        b.run(2, 10);
        c.run(4, 100);
        expect(&pairs, &recorder, &[("a", 1), ("other", 6)]);
        let other = &pairs.lines(&recorder.index())[1];
        assert_eq!((&*other.endpoint.0, &*other.endpoint.1), ("GET", "/a"));
        assert_eq!(other.counts[TIME], 420_000_000);
        Statement::new(&recorder, "b").run(1, 1);
        expect(&pairs, &recorder, &[("a", 1), ("other", 7)]);
    }

    #[test]
    fn a_pair_is_shown_as_long_as_the_text_of_its_statement_is() {
        let (recorder, pairs) = (MonitorRecorder::new(100, Vec::new()), limited(2));
        let texts: Vec<Gauge> = ["a", "b"].iter().map(|name| text(&recorder, name)).collect();
        let statements = ["a", "b", "c"].map(|name| Statement::without_text(&recorder, name));
        let run = || statements.iter().for_each(|statement| statement.run(1, 1));
        run();
        expect(&pairs, &recorder, &[("a", 1), ("b", 1), ("other", 1)]);
        drop(texts);
        let _b = text(&recorder, "b");
        give_back(&recorder);
        run();
        expect(&pairs, &recorder, &[("b", 2), ("other", 3)]);
        let _c = text(&recorder, "c");
        run();
        expect(&pairs, &recorder, &[("b", 3), ("other", 5)]);
        // It takes the place of `a` at the next tick, and begins at zero.
        pairs.tick(&recorder.index());
        run();
        expect(&pairs, &recorder, &[("b", 4), ("c", 1), ("other", 6)]);
        let page = recorder.render();
        assert!(!page.contains("db_query_id=\"a\""), "{page}");
    }

    #[test]
    fn uses_of_other_kinds_are_no_statements() {
        let (recorder, pairs) = (MonitorRecorder::new(100, Vec::new()), limited(9));
        let labels = [(names::WAIT_KIND, Part::Lock.label().into()), (names::WAIT_NAME, "lock stock".into())];
        labelled::counter(&recorder, &names::ENDPOINT_USE_CALLS, &labels).increment(1);
        assert_eq!(pairs.lines(&recorder.index()), []);
    }
}
