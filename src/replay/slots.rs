//! [`SlidingWindow`] and [`SlotReadings`]: the slots of a history as a source of readings.
//!
//! A window is the sum of the slots of its length; each step adds one and takes the oldest away, so that it costs the same however
//! long it is.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    names,
    replay::judged::{Answer, answer},
    rules::{Budget, BudgetReadings, Evidence, Measure, Question, Reading, Readings, Rule, Scope, Subject},
    store::{BUCKETS, EndpointNames, NO_ENDPOINT, Slot, grid_quantile},
};

/// The sums of some slots.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    length: Duration,
    slots: VecDeque<(u64, Duration, Slot)>,
    /// Number of the next slot.
    next: u64,
    held: Duration,
    measured: Duration,
    seconds: f64,
    /// By the number of the endpoint.
    endpoints: Vec<EndpointSums>,
}

/// What a window has of an endpoint.
#[derive(Clone, Debug)]
struct EndpointSums {
    count: u64,
    errors: u64,
    seconds: f64,
    buckets: [u64; BUCKETS],
    /// The longest durations, each with the number of its slot: those that no later one is longer than.
    longest: VecDeque<(u64, f64)>,
}

impl Default for EndpointSums {
    fn default() -> Self {
        Self { count: 0, errors: 0, seconds: 0.0, buckets: [0; BUCKETS], longest: VecDeque::new() }
    }
}

impl SlidingWindow {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            slots: VecDeque::new(),
            next: 0,
            held: Duration::ZERO,
            measured: Duration::ZERO,
            seconds: 0.0,
            endpoints: Vec::new(),
        }
    }

    /// Adds a slot of a length; drops those that the window is then too long for.
    pub(super) fn push(&mut self, length: Duration, slot: &Slot) {
        self.add(slot);
        self.slots.push_back((self.next, length, slot.clone()));
        self.next += 1;
        self.held += length;
        while self.held > self.length && self.slots.len() > 1 {
            if let Some((number, length, slot)) = self.slots.pop_front() {
                self.held -= length;
                self.subtract(number, &slot);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.length);
    }

    fn add(&mut self, slot: &Slot) {
        self.measured += slot.measured();
        self.seconds += slot.all().map_or(0.0, |all| all.seconds);
        for entry in slot.endpoints() {
            let at = entry.endpoint as usize;
            if self.endpoints.len() <= at {
                self.endpoints.resize_with(at + 1, EndpointSums::default);
            }
            let sums = &mut self.endpoints[at];
            sums.count += entry.count;
            sums.errors += entry.errors;
            sums.seconds += entry.seconds;
            entry.buckets().for_each(|(bucket, count)| sums.buckets[bucket.min(BUCKETS - 1)] += count);
            while sums.longest.back().is_some_and(|(_, shorter)| *shorter <= entry.max) {
                sums.longest.pop_back();
            }
            sums.longest.push_back((self.next, entry.max));
        }
    }

    fn subtract(&mut self, number: u64, slot: &Slot) {
        self.measured = self.measured.saturating_sub(slot.measured());
        self.seconds = (self.seconds - slot.all().map_or(0.0, |all| all.seconds)).max(0.0);
        for entry in slot.endpoints() {
            let Some(sums) = self.endpoints.get_mut(entry.endpoint as usize) else { continue };
            sums.count = sums.count.saturating_sub(entry.count);
            sums.errors = sums.errors.saturating_sub(entry.errors);
            // Not what rounding leaves of it.
            sums.seconds = if sums.count == 0 { 0.0 } else { (sums.seconds - entry.seconds).max(0.0) };
            for (bucket, count) in entry.buckets() {
                let bucket = &mut sums.buckets[bucket.min(BUCKETS - 1)];
                *bucket = bucket.saturating_sub(count);
            }
            while sums.longest.front().is_some_and(|(of, _)| *of <= number) {
                sums.longest.pop_front();
            }
        }
    }

    /// Returns the part of a slot's requests that a window of its length has: all, unless a slot is longer than the window.
    fn share(&self) -> f64 {
        if self.held > self.length { self.length.as_secs_f64() / self.held.as_secs_f64() } else { 1.0 }
    }

    fn measure(&self, sums: &EndpointSums, measure: Measure) -> Option<f64> {
        let count = sums.count as f64;
        let span = self.measured.as_secs_f64();
        let divide = |number: f64, by: f64| (by > 0.0).then(|| number / by);
        let max = sums.longest.front().map_or(0.0, |(_, longest)| *longest);
        match measure {
            Measure::AvgDuration | Measure::OwnAvgDuration => divide(sums.seconds, count),
            Measure::DurationQuantile(percent) | Measure::OwnDurationQuantile(percent) => {
                grid_quantile(&sums.buckets, max, f64::from(percent) / 100.0)
            }
            Measure::MaxDuration => Some(max),
            Measure::Rate => divide(count, span),
            Measure::InFlight => divide(sums.seconds, span),
            Measure::TimeShare => divide(sums.seconds, self.seconds).map(|share| share.min(1.0)),
            Measure::ErrorRatio => divide(sums.errors as f64, count),
            _ => None,
        }
    }
}

/// The readings of one moment of the past.
#[derive(Debug)]
pub(super) struct SlotReadings {
    /// By the length that rules ask for.
    pub(super) windows: BTreeMap<Duration, SlidingWindow>,
    /// Mean of the memory in the latest slot.
    memory: Option<f64>,
    /// By the number of the endpoint.
    subjects: Vec<Option<Arc<Subject>>>,
    process: Arc<Subject>,
    /// The error budgets of objectives.
    pub(super) budgets: BudgetReadings,
}

impl SlotReadings {
    pub(super) fn new(names: &EndpointNames, lengths: impl IntoIterator<Item = Duration>) -> Self {
        let mut subjects = Vec::new();
        for (number, name) in names.iter() {
            let at = number as usize;
            if subjects.len() <= at {
                subjects.resize(at + 1, None);
            }
            subjects[at] = subject(name);
        }
        Self {
            windows: lengths.into_iter().map(|length| (length, SlidingWindow::new(length))).collect(),
            memory: None,
            subjects,
            process: Arc::new(Subject::new(Scope::Process.as_str(), Vec::new())),
            budgets: BudgetReadings::default(),
        }
    }

    /// Moves every window on by a slot.
    pub(super) fn push(&mut self, length: Duration, slot: &Slot) {
        self.memory = slot.memory().map(|memory| memory.mean);
        self.windows.values_mut().for_each(|window| window.push(length, slot));
    }

    /// Empties every window, as a start of the service does.
    pub(super) fn clear(&mut self) {
        self.memory = None;
        self.windows.values_mut().for_each(SlidingWindow::clear);
    }

    fn endpoints(&self, question: &Question<'_>) -> Vec<Reading> {
        let Some(window) = self.windows.get(&question.window) else { return Vec::new() };
        let share = window.share();
        let read = |(sums, subject): (&EndpointSums, &Option<Arc<Subject>>)| {
            let samples = (sums.count as f64 * share) as u64;
            if sums.count == 0 || samples < question.min_samples {
                return None;
            }
            let value = window.measure(sums, question.measure)?;
            let is_asked_for = question.at_least.is_none_or(|least| value >= least);
            is_asked_for.then_some(Reading { subject: subject.clone()?, value, samples, span: None })
        };
        window.endpoints.iter().zip(&self.subjects).filter_map(read).collect()
    }
}

/// Returns the endpoint with a name; `None` for requests that matched no route.
fn subject(name: &str) -> Option<Arc<Subject>> {
    let (method, route) = name.split_once(' ').filter(|_| name != NO_ENDPOINT)?;
    let labels = vec![(Cow::Borrowed(names::METHOD), method.into()), (Cow::Borrowed(names::ROUTE), route.into())];
    Some(Arc::new(Subject::new(name, labels)))
}

impl Readings for SlotReadings {
    fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        match (question.scope, answer(question.scope, question.measure)) {
            (_, Answer::None) => Vec::new(),
            (Scope::Endpoint, _) => self.endpoints(question),
            _ => {
                let reading = |value| Reading { subject: self.process.clone(), value, samples: 1, span: None };
                self.memory.map(reading).into_iter().collect()
            }
        }
    }

    /// What was measured beside the durations is not kept.
    fn evidence(&self, _: Scope, _: &Subject, _: Duration, _: Option<f64>) -> Evidence {
        Evidence::default()
    }

    fn budgets(&self, rule: &Rule) -> &[Budget] {
        self.budgets.of(&rule.id)
    }
}
