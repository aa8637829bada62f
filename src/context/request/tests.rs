//! What a request's context counts, and how it divides its time.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Returns when a request begins: after the instruments were made, as every one does.
fn start() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

fn instruments() -> Arc<Instruments> {
    let recorder: super::super::DynRecorder = Arc::new(metrics::NoopRecorder);
    let limits = super::super::Limits {
        routes: 1,
        fingerprints: 1,
        slow_requests: 0,
        ignored: Vec::new(),
        database: super::super::Database::new("sqlite"),
        methods: Default::default(),
        scheme: Default::default(),
    };
    Instruments::new(recorder.clone(), recorder, limits, Box::new(|| 0.0))
}

fn context(began: Instant) -> RequestContext {
    let instruments = instruments();
    let began = instruments.clock().moment(began);
    let mut context = RequestContext::new(instruments);
    context.reset(Purpose::Request(EndpointNumber::NONE), began);
    context
}

fn begin(instruments: &Arc<Instruments>, kept: Option<Arc<RequestContext>>, began: Instant) -> Arc<RequestContext> {
    instruments.begin_request(kept, EndpointNumber::NONE, instruments.clock().moment(began))
}

fn did(id: u32, began: Instant, duration: Duration) -> Did {
    Did { id, began, duration, failed: false, place: Place::NONE, exact: 0 }
}

/// Records events (part, start and end in milliseconds) and returns how much of 100 ms queries and tasks cover.
fn covered(events: &[(Part, u32, u32)]) -> (u128, u128) {
    let began = start();
    let context = context(began);
    for (part, from, to) in events {
        context.record(*part, &did(0, began + *from * MS, (*to - *from) * MS));
    }
    let time = context.divide(100 * MS, |_| ());
    (time.of(Part::Db).as_millis(), time.of(Part::Task).as_millis())
}

#[test]
fn overlapping_events_cover_the_duration_once() {
    use Part::{Db, Task};
    assert_eq!(covered(&[]), (0, 0));
    assert_eq!(covered(&[(Db, 10, 30), (Db, 30, 40)]), (30, 0), "one after the other");
    assert_eq!(covered(&[(Db, 10, 30), (Db, 20, 40), (Db, 12, 15)]), (30, 0), "at the same time");
    assert_eq!(covered(&[(Db, 10, 30), (Task, 0, 50)]), (20, 30), "a query inside a task is a query");
    assert_eq!(covered(&[(Db, 0, 90), (Db, 0, 90), (Task, 80, 400)]), (90, 10), "never more than all");
}

#[test]
fn a_use_knows_what_it_has_to_itself() {
    let began = start();
    let context = context(began);
    context.record(Part::Db, &did(3, began, 40 * MS));
    context.record(Part::Db, &Did { failed: true, ..did(3, began + 10 * MS, 40 * MS) });
    context.record(Part::Http, &did(3, began + 30 * MS, 40 * MS));
    assert!(context.record_hold(Part::Lock, 1, Place::NONE, 5 * MS));
    let mut uses = Vec::new();
    let time = context.divide(100 * MS, |used| uses.push(used));
    uses.sort_by_key(|used| used.part);
    let found: Vec<_> = uses
        .iter()
        .map(|used| (used.part, used.calls, used.failed, used.nanos / 1_000_000, used.alone_nanos / 1_000_000))
        .collect();
    assert_eq!(found, [(Part::Http, 1, 0, 40, 20), (Part::Db, 2, 1, 80, 30), (Part::Lock, 0, 0, 0, 0)]);
    assert_eq!((uses[1].most_at_once, uses[2].held_nanos, uses[2].holds), (2, 5_000_000, 1));
    assert_eq!((time.of(Part::Http), time.of(Part::Db), time.queries), (40 * MS, 30 * MS, 50 * MS));
}

#[test]
fn a_call_that_is_the_same_as_a_recent_one_is_a_repeat() {
    let repeats = |exact: &[u64]| {
        let began = start();
        let context = context(began);
        for exact in exact {
            context.record(Part::Db, &Did { exact: *exact, ..did(3, began, MS) });
        }
        let mut repeats = 0;
        context.divide(100 * MS, |used| repeats = used.repeats);
        repeats
    };
    assert_eq!(repeats(&[1, 1, 1]), 2);
    assert_eq!(repeats(&[1, 2, 1, 2, 1, 2]), 4, "in turns");
    assert_eq!(repeats(&[1, 1, 1, 1, 2, 1]), 4, "what is remembered longest gives way first");
    assert_eq!(repeats(&[1, 2, 3, 4, 5, 1]), 0, "too long ago");
    assert_eq!(repeats(&[0, 0, 0]), 0, "whose parameters are not known");
}

#[test]
fn what_the_runtime_kept_waiting_is_known_of_each_query() {
    let began = start();
    let context = context(began);
    let late = |from, to| context.late_within(began + from * MS, (to - from) * MS).as_millis();
    assert_eq!(late(0, 100), 0);
    context.record(Part::Late, &Did::waited(began + 20 * MS, 30 * MS));
    context.record(Part::Late, &Did::waited(began + 70 * MS, 10 * MS));
    assert_eq!([late(0, 100), late(30, 75), late(50, 70), late(0, 25)], [40, 25, 0, 5]);
}

#[test]
fn waits_of_the_client_leave_room_on_the_timeline() {
    let began = start();
    let context = context(began);
    for at in 0..50 {
        context.record(Part::Client, &Did::waited(began + at * MS, MS));
    }
    assert_eq!((context.events().count(), context.events_beyond()), (WAITS as usize, 0));
    assert_eq!(context.divide(100 * MS, |_| ()).of(Part::Client), 50 * MS);
}

/// Keeps the late queries.
#[derive(Debug, Default)]
struct LateQueryLog(Mutex<Vec<LateQuery>>);

impl AfterEnd for LateQueryLog {
    fn record_detached(&self, query: LateQuery) {
        self.record_late(query);
    }

    fn streams(&self) -> &crate::context::StreamSeries {
        panic!("the request is no stream");
    }

    fn stream_messages(&self) -> crate::context::StreamMessages {
        panic!("the request is no stream");
    }

    fn sent_messages(&self) -> &metrics::Counter {
        panic!("the request is no stream");
    }

    fn record_late(&self, query: LateQuery) {
        lock(&self.0).push(query);
    }
}

fn calls(context: &RequestContext) -> Vec<u64> {
    let mut calls = Vec::new();
    context.divide(MS, |used| calls.push(used.calls));
    calls
}

#[test]
fn a_query_that_a_cancelled_request_left_running_counts_as_late() {
    let began = start();
    let (mut context, reported) = (context(began), Arc::new(LateQueryLog::default()));
    context.record(Part::Db, &did(7, began, 10 * MS));
    context.cancel(began + 50 * MS, reported.clone());
    context.record(Part::Db, &did(7, began + 20 * MS, 100 * MS));
    context.record(Part::Db, &did(8, began + 40 * MS, 5 * MS));
    context.record(Part::Db, &did(9, began + 60 * MS, 5 * MS));
    context.record(Part::Task, &did(1, began + 20 * MS, 100 * MS));
    context.record(Part::Db, &did(8, began + 40 * MS, 6 * MS));
    let expected = [
        LateQuery { id: 7, is_first: false, before_end: 30 * MS, duration: 100 * MS },
        LateQuery { id: 8, is_first: true, before_end: 5 * MS, duration: 5 * MS },
        LateQuery { id: 8, is_first: false, before_end: 6 * MS, duration: 6 * MS },
    ];
    assert_eq!(*lock(&reported.0), expected, "no query that began later, and no task");
    assert_eq!(context.count(Part::Db), 1, "the request itself is over");
    assert_eq!(calls(&context).iter().sum::<u64>(), 1, "late ones are not the request's");

    let again = context.instruments().clock().moment(began);
    context.reset(Purpose::Request(EndpointNumber::NONE), again);
    context.record(Part::Db, &did(8, began, MS));
    context.end();
    context.record(Part::Db, &did(8, began, MS));
    assert_eq!(lock(&reported.0).len(), 3, "the next request was not cancelled");
    assert_eq!(calls(&context), [1]);
}

#[test]
fn events_past_the_end_of_the_timeline_count() {
    let many: Vec<_> = (0..EVENTS as u32 + 16).map(|at| (Part::Db, at, at + 1)).collect();
    assert_eq!(covered(&many), (80, 0));
    let at_once: Vec<_> = many.iter().flat_map(|event| [*event; 2]).collect();
    let (queries, _) = covered(&at_once);
    assert!((79..=80).contains(&queries), "{queries}");
}

#[test]
fn a_kept_context_serves_the_next_request_as_if_it_were_new() {
    let (instruments, began) = (instruments(), start());
    let first = begin(&instruments, None, began);
    first.record(Part::Db, &did(7, began, MS));
    first.receive(100);
    first.end();
    let place = Arc::as_ptr(&first);
    let second = begin(&instruments, Some(first), began + 10 * MS);
    assert_eq!(Arc::as_ptr(&second), place, "nothing else holds it");
    assert_eq!((second.count(Part::Db), second.received(), second.started()), (0, 0, began + 10 * MS));
    assert_eq!((calls(&second).len(), second.events().count()), (0, 0));
    second.record(Part::Db, &did(8, began + 11 * MS, MS));
    assert_eq!(second.events().map(|event| event.start).collect::<Vec<_>>(), [MS]);
}

#[test]
fn a_context_that_something_holds_serves_no_other_request() {
    let (instruments, began) = (instruments(), start());
    let first = begin(&instruments, None, began);
    let held = first.clone();
    first.end();
    let second = begin(&instruments, Some(first), began);
    held.record(Part::Db, &did(7, began, MS));
    assert_eq!((second.count(Part::Db), held.count(Part::Db)), (0, 0), "the first request is over");
    assert!(!Arc::ptr_eq(&held, &second));
}

#[test]
fn whoever_asks_when_a_request_began_is_told_the_same() {
    let (instruments, before) = (instruments(), Instant::now());
    let context = instruments.begin_request(None, EndpointNumber::NONE, instruments.clock().now());
    let after = Instant::now();
    let threads =
        || std::thread::scope(|scope| [(); 4].map(|()| scope.spawn(|| context.started())).map(|one| one.join()));
    let started: Vec<Instant> = threads().into_iter().map(|started| started.expect("no panic")).collect();
    assert!(started.iter().all(|at| *at == context.started()), "{started:?}");
    // Two clocks: what lies between their readings, on a thread that others keep from running too.
    let slack = Duration::from_millis(100);
    assert!(context.started() + slack >= before && context.started() <= after + slack);
}
