//! Tests of the tiers.

use metrics::{Histogram, Recorder};
use proptest::prelude::*;
use tokio::time::Instant;

use super::{super::grid, *};
use crate::{context::labelled, names, store::MonitorRecorder};

const TICK: Duration = Duration::from_secs(5);
const MB: usize = 1_000_000;
const LIMITS: TierLimits = TierLimits { retention: Duration::from_secs(7 * 24 * 3600), bytes: 64 * MB };
/// A Monday, 12:00:00.
const NOON: Duration = Duration::from_secs(1_700_000_000 / 1800 * 1800);

fn tiers(limits: TierLimits) -> Tiers {
    Tiers::new(limits, Run { started: NOON, version: "".into() })
}

/// A service that records tick by tick.
struct Service {
    recorder: MonitorRecorder,
    history: History,
    start: Instant,
    ticks: u32,
    tiers: Tiers,
}

impl Service {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            recorder: MonitorRecorder::new(10_000, Vec::new()),
            history: History::new(start, [Duration::from_secs(300)]),
            start,
            ticks: 0,
            tiers: tiers(LIMITS),
        }
    }

    fn endpoint(&self, route: &str, status: &str) -> Histogram {
        let labels = [(names::METHOD, "GET".into()), (names::ROUTE, route.into()), (names::STATUS, status.into())];
        labelled::histogram(&self.recorder as &dyn Recorder, &names::HTTP_DURATION, &labels)
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let took = TICK * self.ticks;
        self.history.tick(&self.recorder.index(), self.start + took);
        let moment = Moment { wall: NOON + took, measuring: true, resident_bytes: Some(1e8) };
        self.tiers.record(&self.history, moment);
    }

    fn ticks(&mut self, ticks: u32) {
        (0..ticks).for_each(|_| self.tick());
    }
}

/// Returns requests, errors and seconds of an endpoint over all slots.
fn totals(tiers: &Tiers, name: &str) -> (u64, u64, f64) {
    let number = tiers.endpoints.iter().find(|(_, known)| &***known == name).map(|(number, _)| number);
    let slots = tiers.slots(Duration::ZERO, Duration::MAX);
    let entries = slots.iter().flat_map(|slot| slot.slot.endpoints()).filter(|entry| Some(entry.endpoint) == number);
    entries.fold((0, 0, 0.0), |(count, errors, seconds), entry| {
        (count + entry.count, errors + entry.errors, seconds + entry.seconds)
    })
}

#[test]
fn a_minute_holds_its_requests() {
    let mut service = Service::new();
    let (good, bad, unmatched) =
        (service.endpoint("/a", "200"), service.endpoint("/a", "500"), service.endpoint("", "404"));
    for _ in 0..12 {
        good.record(0.25);
        service.tick();
    }
    bad.record(0.5);
    unmatched.record(0.125);
    service.ticks(12);
    service.tick();
    let slots = service.tiers.slots(NOON, NOON + Duration::from_secs(120));
    assert_eq!(slots.len(), 2);
    let all: Vec<_> = slots.iter().filter_map(|slot| slot.slot.all()).map(|all| (all.count, all.errors)).collect();
    assert_eq!(all, [(12, 0), (2, 1)]);
    assert_eq!(totals(&service.tiers, "GET /a"), (13, 1, 3.5));
    assert_eq!(totals(&service.tiers, ""), (1, 0, 0.125));
    assert_eq!(slots[0].slot.measured(), Duration::from_secs(60));
    assert_eq!(slots[0].slot.memory().map(|memory| (memory.mean, memory.samples)), Some((1e8, 12)));
    assert_eq!(slots[0].slot.endpoints().next().map(|entry| entry.max), Some(0.25));
}

#[test]
fn minutes_become_half_hours_after_a_day_and_are_dropped_after_a_week() {
    let mut tiers = tiers(LIMITS);
    let first = minute_of(NOON);
    for minute in 0..9 * 24 * 60 {
        fill(&mut tiers, first + minute, 1, 1);
    }
    let minutes = tiers.minutes.len() as u32;
    assert!((MINUTES_KEPT..MINUTES_KEPT + HALF_HOUR).contains(&minutes), "{minutes}");
    let half_hours = tiers.half_hours.len();
    assert!((6 * 48 - 1..=6 * 48).contains(&half_hours), "{half_hours}");
    let now = NOON + Duration::from_secs(9 * 24 * 3600);
    let kept = tiers.slots(Duration::ZERO, now);
    assert!(kept[0].start + kept[0].length > now - LIMITS.retention);
    let count: u64 = kept.iter().filter_map(|slot| slot.slot.all()).map(|all| all.count).sum();
    assert_eq!(count, kept.iter().map(|slot| slot.length.as_secs() / 60).sum::<u64>(), "one request a minute");
    assert!(kept.windows(2).all(|pair| pair[0].start + pair[0].length == pair[1].start), "without a gap");
    assert_eq!(tiers.slot_bytes, kept.iter().map(|slot| slot.slot.as_bytes().len() + OVERHEAD).sum::<usize>());
}

#[test]
fn a_short_retention_keeps_no_half_hours() {
    let mut tiers = tiers(TierLimits { retention: Duration::from_secs(3600), ..LIMITS });
    for minute in 0..180 {
        fill(&mut tiers, minute_of(NOON) + minute, 1, 1);
    }
    assert_eq!((tiers.minutes.len(), tiers.half_hours.len()), (60, 0));
}

/// Fills a minute with requests whose durations spread like those of real endpoints: over about ten buckets each.
fn fill(tiers: &mut Tiers, minute: u32, endpoints: u32, requests: u32) {
    tiers.current = Some(minute);
    tiers.sums.add_time(Duration::from_secs(60));
    tiers.sums.add_memory(1e8);
    for endpoint in 0..endpoints {
        for request in 0..requests {
            let share = (f64::from((request * 37 + endpoint * 11 + minute * 7) % 97) + 0.5) / 97.0;
            let seconds = 0.02 * (1.0 + f64::from(endpoint % 7)) * (share / (1.0 - share)).powf(0.4);
            let (all, own) = tiers.sums.of(endpoint);
            for entry in [all, own] {
                entry.add(seconds, seconds);
                entry.count(grid::bucket_of(seconds), 1, false);
            }
        }
    }
    tiers.finish();
}

#[test]
fn a_day_of_a_thousand_routes_stays_below_64_megabytes() {
    let mut tiers = tiers(LIMITS);
    let first = minute_of(NOON);
    // Eight minutes are encoded and kept in turns: this test is about memory, not about encoding.
    let slots: Vec<Slot> = (0..8)
        .map(|minute| {
            fill(&mut tiers, first + minute, 1000, 30);
            tiers.minutes[&(first + minute)].clone()
        })
        .collect();
    tiers.clear();
    for minute in 0..24 * 60 {
        let slot = Slot::clone(&slots[minute as usize % slots.len()]);
        tiers.put(SlotKey::Minute(first + minute), slot);
        tiers.keep_limits(first + minute + 1);
    }
    let mean = tiers.slot_bytes / (24 * 60 * 1000);
    assert!(tiers.bytes() < 64 * MB, "{} bytes", tiers.bytes());
    assert_eq!(tiers.minutes.len(), 24 * 60, "the whole day by the minute, at {mean} bytes each endpoint");
}

#[test]
fn the_tiers_stay_within_their_budget() {
    let mut tiers = tiers(TierLimits { bytes: 2 * MB, ..LIMITS });
    let first = minute_of(NOON);
    for minute in 0..6 * 60 {
        fill(&mut tiers, first + minute, 200, 20);
        assert!(tiers.bytes() <= 2 * MB, "{} bytes", tiers.bytes());
    }
    assert!(tiers.minutes.len() >= 60 && !tiers.half_hours.is_empty(), "the oldest are folded, the newest stay");
}

#[test]
fn the_tiers_fit_into_the_bytes_that_the_windows_leave() {
    let mut service = Service::new();
    let routes: Vec<Histogram> = (0..200).map(|route| service.endpoint(&format!("/{route}"), "200")).collect();
    let tick = |service: &mut Service, ticks: u32| {
        for _ in 0..ticks {
            routes.iter().for_each(|route| route.record(0.01 * f64::from(1 + service.ticks % 50)));
            service.tick();
        }
    };
    tick(&mut service, 61); // Until the series have had all their durations: the windows hardly grow from then on.
    let windows = service.history.bytes();
    assert!(windows > 200_000, "{windows}");
    service.tiers.limits.bytes = windows + service.tiers.bytes() + 100_000;
    for _ in 0..60 {
        tick(&mut service, 12);
        let (windows, tiers) = (service.tiers.window_bytes, service.tiers.bytes());
        let all = service.tiers.limits.bytes;
        assert!(tiers <= (all.saturating_sub(windows)).max(all / MIN_SHARE), "{windows} and {tiers} of {all}");
    }
    assert!(service.tiers.slot_bytes > 0 && service.tiers.minutes.len() < 60, "{}", service.tiers.minutes.len());
}

/// Six days by the minute, and what is kept of them.
fn six_days() -> (Tiers, u32) {
    let mut tiers = tiers(LIMITS);
    let now = minute_of(NOON);
    for minute in now - 6 * 24 * 60..now {
        tiers.put(SlotKey::Minute(minute), SlotSums::default().take());
        tiers.keep_limits(minute + 1);
    }
    (tiers, now)
}

/// The first minute of which there is a slot.
fn oldest(tiers: &Tiers) -> Option<u32> {
    tiers.half_hours.first_key_value().map(|(at, _)| at * HALF_HOUR)
}

#[test]
fn a_clock_that_is_far_ahead_for_hours_drops_nothing() {
    let (mut tiers, now) = six_days();
    let before = oldest(&tiers);
    let ahead = now + 200 * 24 * 60;
    for wrong in 0..20 * 60 {
        tiers.put(SlotKey::Minute(ahead + wrong), SlotSums::default().take());
        tiers.keep_limits(ahead + wrong + 1);
    }
    assert_eq!(oldest(&tiers), before);
    // At the right time the limits apply again.
    tiers.put(SlotKey::Minute(now), SlotSums::default().take());
    tiers.keep_limits(now + 1);
    assert_eq!((tiers.limits_at, tiers.ahead_for), (Some(now + 1), 0));
}

#[test]
fn a_clock_that_stays_ahead_for_a_day_is_believed() {
    let (mut tiers, now) = six_days();
    let later = now + 200 * 24 * 60;
    for minute in 0..=24 * 60 {
        tiers.put(SlotKey::Minute(later + minute), SlotSums::default().take());
        tiers.keep_limits(later + minute + 1);
    }
    assert!(oldest(&tiers).is_none_or(|oldest| oldest >= later), "{:?}", oldest(&tiers));
}

#[test]
fn a_clock_that_is_ahead_by_hours_is_followed_within_minutes() {
    let (mut tiers, now) = six_days();
    for minute in 0..6 {
        tiers.keep_limits(now + 5 * 60 + minute);
    }
    assert_eq!(tiers.limits_at, Some(now + 5 * 60 + 5));
}

#[test]
fn clear_drops_every_slot() {
    let mut service = Service::new();
    let endpoint = service.endpoint("/a", "200");
    endpoint.record(1.0);
    service.ticks(13);
    endpoint.record(1.0);
    service.tick();
    service.tiers.clear();
    assert_eq!(service.tiers.slots(Duration::ZERO, Duration::MAX).len(), 0);
    endpoint.record(2.0);
    service.ticks(12);
    service.tiers.finish();
    assert_eq!(totals(&service.tiers, "GET /a"), (1, 0, 2.0));
}

#[cfg(feature = "archive")]
mod archived {
    use super::*;

    /// Applies changes in the way of an archive.
    fn apply(stored: &mut BTreeMap<SlotKey, Slot>, endpoints: &mut BTreeMap<u32, Arc<str>>, changes: Changes) {
        if changes.cleared {
            stored.clear();
        }
        for (key, slot) in changes.slots {
            match slot {
                Some(slot) => drop(stored.insert(key, slot)),
                None => drop(stored.remove(&key)),
            }
        }
        endpoints.extend(changes.endpoints);
    }

    fn stored(slots: BTreeMap<SlotKey, Slot>, endpoints: BTreeMap<u32, Arc<str>>) -> ArchiveContents {
        let run = Run { started: NOON - Duration::from_secs(9), version: "1".into() };
        ArchiveContents {
            endpoints: EndpointNames::from_numbered(endpoints),
            slots: slots.into_iter().collect(),
            runs: vec![run],
        }
    }

    #[test]
    fn the_changes_restore_the_tiers() {
        let (mut slots, mut endpoints) = (BTreeMap::new(), BTreeMap::new());
        let mut first = Service::new();
        first.tiers.restore(ArchiveContents::default(), NOON);
        let (a, b) = (first.endpoint("/a", "200"), first.endpoint("/b", "500"));
        for step in 0..30 * 12 * 60 {
            a.record(0.25);
            if step % 7 == 0 {
                b.record(0.5);
            }
            first.tick();
            if step % 500 == 0 {
                apply(&mut slots, &mut endpoints, first.tiers.take_changes().expect("an archive listens"));
            }
        }
        first.tiers.finish();
        apply(&mut slots, &mut endpoints, first.tiers.take_changes().expect("an archive listens"));
        let mut second = tiers(LIMITS);
        second.restore(stored(slots, endpoints), NOON + Duration::from_secs(30 * 3600));
        for name in ["GET /a", "GET /b"] {
            assert_eq!(totals(&second, name), totals(&first.tiers, name));
        }
        assert_eq!(second.bytes() - second.sums.bytes(), first.tiers.bytes() - first.tiers.sums.bytes());
        assert_eq!(second.runs.len(), 2);
        assert!(second.take_changes().expect("listens").is_empty(), "what the archive has is not written again");
    }

    #[test]
    fn slots_and_runs_in_the_future_are_deleted_after_a_day() {
        let now = minute_of(NOON);
        let empty = || SlotSums::default().take();
        let keys = [
            SlotKey::Minute(now - 1),
            SlotKey::HalfHour(now / HALF_HOUR - 50),
            SlotKey::Minute(now + 5000),
            SlotKey::HalfHour(now / HALF_HOUR + 400),
        ];
        let mut slots: BTreeMap<_, _> = keys.into_iter().map(|key| (key, empty())).collect();
        let wrong = Run { started: NOON + Duration::from_secs(5000 * 60), version: "1".into() };
        let mut stored = stored(slots.clone(), BTreeMap::new());
        stored.runs.push(wrong.clone());
        let mut tiers = tiers(LIMITS);
        tiers.restore(stored, NOON);
        assert!(tiers.take_changes().is_some_and(|changes| changes.is_empty()), "it may be this clock that is wrong");
        assert!(!tiers.runs.contains(&wrong) && tiers.slots(NOON, Duration::MAX).is_empty(), "not shown");
        let mut lost = Changes::default();
        for minute in 0..24 * 60 {
            assert_eq!((lost.slots.len(), lost.lost_runs.len()), (0, 0));
            tiers.judge_doubtful(now + minute);
            lost = tiers.take_changes().expect("listens");
        }
        assert_eq!(lost.lost_runs, [wrong.started]);
        apply(&mut slots, &mut BTreeMap::new(), lost);
        assert_eq!(slots.keys().collect::<Vec<_>>(), [&keys[0], &keys[1]], "and what was is still there");
    }

    /// From when ages are counted in an archive with slots of these minutes, and for how long the newest were ahead.
    fn reference(minutes: impl IntoIterator<Item = u32>) -> Option<(u32, u32)> {
        let slots = minutes.into_iter().map(|minute| (SlotKey::Minute(minute), SlotSums::default().take())).collect();
        let reference = stored(slots, BTreeMap::new()).reference(NOON)?;
        Some((reference.newest, reference.ahead_for))
    }

    #[test]
    fn ages_count_from_the_newest_slot_that_is_believed() {
        let now = minute_of(NOON);
        let day = 24 * 60;
        assert_eq!(reference([]), None);
        assert_eq!(reference([now + 1]), None, "in the future");
        assert_eq!(reference(now - 100..now - 50), Some((now - 51, 0)));
        // A few hours that are 200 days ahead of the rest, in however many runs.
        let old = now - 200 * day;
        let hours = (old - 90..=old).chain(now - 200..now - 150).chain(now - 20..=now - 10);
        assert_eq!(reference(hours), Some((old + 190, 190)));
        assert_eq!(reference((old - 90..=old).chain(now - day - 10..=now - 10)), Some((now - 10, 0)), "a whole day");
    }

    #[test]
    fn a_start_with_a_clock_that_is_far_ahead_deletes_nothing() {
        let old = minute_of(NOON) - 200 * 24 * 60;
        let slots = (old - 5 * 24 * 60..old)
            .step_by(30)
            .map(|minute| (SlotKey::HalfHour(minute / HALF_HOUR), SlotSums::default().take()));
        let mut tiers = tiers(LIMITS);
        tiers.restore(stored(slots.collect(), BTreeMap::new()), NOON);
        for minute in 0..600 {
            fill(&mut tiers, minute_of(NOON) + minute, 0, 0);
        }
        let changes = tiers.take_changes().expect("listens");
        assert!(changes.slots.values().all(Option::is_some), "nothing is deleted");
        assert_eq!(tiers.half_hours.len(), 5 * 48);
    }

    #[test]
    fn a_clock_behind_the_whole_archive_deletes_nothing() {
        let slots = BTreeMap::from([(SlotKey::Minute(minute_of(NOON)), SlotSums::default().take())]);
        let mut tiers = tiers(LIMITS);
        tiers.restore(stored(slots, BTreeMap::new()), Duration::from_secs(3600));
        assert!(tiers.take_changes().expect("listens").is_empty());
        assert_eq!(tiers.slots(Duration::ZERO, Duration::MAX).len(), 0, "passed over");
    }

    #[test]
    fn the_current_minute_is_reported_and_replaced_when_it_ends() {
        let (mut slots, mut endpoints) = (BTreeMap::new(), BTreeMap::new());
        let mut service = Service::new();
        service.tiers.restore(ArchiveContents::default(), NOON);
        let endpoint = service.endpoint("/a", "200");
        for tick in 1..=60_u32 {
            endpoint.record(0.25);
            service.tick();
            service.tiers.report_current_minute(NOON + TICK * tick);
            apply(&mut slots, &mut endpoints, service.tiers.take_changes().expect("listens"));
            let reported: u64 = slots.values().filter_map(Slot::all).map(|all| all.count).sum();
            assert!(u64::from(tick) - reported < 7, "{reported} of {tick}: at most 35 s are missing");
        }
        service.tiers.finish();
        apply(&mut slots, &mut endpoints, service.tiers.take_changes().expect("listens"));
        let mut second = tiers(LIMITS);
        second.restore(stored(slots, endpoints), NOON + Duration::from_secs(300));
        assert_eq!(totals(&second, "GET /a"), (60, 0, 15.0), "none twice");
    }

    #[test]
    fn an_archive_that_opens_late_keeps_both_sides() {
        let mut before = Service::new();
        before.tiers.restore(ArchiveContents::default(), NOON);
        before.endpoint("/old", "200").record(0.25);
        before.endpoint("/both", "200").record(0.25);
        before.ticks(13);
        let (mut slots, mut endpoints) = (BTreeMap::new(), BTreeMap::new());
        apply(&mut slots, &mut endpoints, before.tiers.take_changes().expect("an archive listens"));
        // The next run records two minutes before it can read the archive; one of them is in the archive too.
        let mut after = Service::new();
        let (new, both) = (after.endpoint("/new", "500"), after.endpoint("/both", "200"));
        new.record(0.5);
        both.record(0.5);
        after.ticks(13);
        both.record(1.0);
        after.ticks(3);
        after.tiers.restore(stored(slots.clone(), endpoints.clone()), NOON + Duration::from_secs(90));
        new.record(2.0);
        after.ticks(12);
        let expected = [("GET /old", (1, 0, 0.25)), ("GET /both", (3, 0, 1.75)), ("GET /new", (2, 2, 2.5))];
        for (name, expected) in expected {
            assert_eq!(totals(&after.tiers, name), expected, "{name}");
        }
        apply(&mut slots, &mut endpoints, after.tiers.take_changes().expect("an archive listens"));
        let mut third = tiers(LIMITS);
        third.restore(stored(slots, endpoints), NOON + Duration::from_secs(180));
        for (name, expected) in expected {
            assert_eq!(totals(&third, name), expected, "{name}, read again");
        }
    }

    #[test]
    fn slots_in_the_future_are_not_restored() {
        let mut ahead = tiers(LIMITS);
        fill(&mut ahead, minute_of(NOON) + 90, 1, 1);
        fill(&mut ahead, minute_of(NOON) - 90, 1, 1);
        let slots = ahead.minutes.iter().map(|(minute, slot)| (SlotKey::Minute(*minute), slot.clone())).collect();
        let mut restored = tiers(LIMITS);
        restored.restore(stored(slots, BTreeMap::from([(0, "GET /".into())])), NOON);
        assert_eq!(restored.minutes.keys().copied().collect::<Vec<_>>(), [minute_of(NOON) - 90]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Folding and gaps change no sum: those over all slots equal those of a list of all requests.
    #[test]
    fn slots_sum_to_a_list_of_all_requests(
        steps in prop::collection::vec((0..90_u32, prop::collection::vec((0..5_u32, 1e-4..20.0_f64, any::<bool>()), 0..6)), 1..60),
    ) {
        let mut tiers = tiers(LIMITS);
        let mut naive: BTreeMap<u32, (u64, u64, f64, f64)> = BTreeMap::new();
        let mut minute = minute_of(NOON);
        for (pause, requests) in &steps {
            minute += pause;
            tiers.current = Some(minute);
            for (endpoint, seconds, failed) in requests {
                let (all, own) = tiers.sums.of(*endpoint);
                for entry in [all, own] {
                    entry.add(*seconds, *seconds);
                    entry.count(grid::bucket_of(*seconds), 1, *failed);
                }
                let sums = naive.entry(*endpoint).or_default();
                *sums = (sums.0 + 1, sums.1 + u64::from(*failed), sums.2 + seconds, sums.3.max(*seconds));
            }
            tiers.finish();
        }
        let mut found: BTreeMap<u32, (u64, u64, f64, f64)> = BTreeMap::new();
        for slot in tiers.slots(Duration::ZERO, Duration::MAX) {
            for entry in slot.slot.endpoints() {
                prop_assert_eq!(entry.buckets().map(|(_, count)| count).sum::<u64>(), entry.count);
                let sums = found.entry(entry.endpoint).or_default();
                *sums =
                    (sums.0 + entry.count, sums.1 + entry.errors, sums.2 + entry.seconds, sums.3.max(entry.max));
            }
        }
        prop_assert_eq!(found.len(), naive.len());
        for (found, expected) in found.values().zip(naive.values()) {
            prop_assert_eq!((found.0, found.1), (expected.0, expected.1));
            prop_assert!((found.2 / expected.2 - 1.0).abs() < 1e-5 && (found.3 / expected.3 - 1.0).abs() < 1e-6);
        }
    }
}
