//! Rules over histories that are made up minute by minute.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    stored::{PastSlot, StoredHistory},
    *,
};
use crate::{
    context::labelled,
    names,
    rules::{RuleSet, Severity},
    store::{History, Moment, MonitorRecorder, Run, TierLimits, Tiers},
};

const MINUTE: Duration = Duration::from_secs(60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// A whole half hour: 2026-03-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_772_323_200);

/// A service whose past is made up.
pub(super) struct Past {
    recorder: MonitorRecorder,
    history: History,
    tiers: Tiers,
    began: Instant,
    minutes: u32,
    runs: Vec<Run>,
}

impl Past {
    pub(super) fn new() -> Self {
        let began = Instant::now();
        let run = Run { started: START, version: "".into() };
        let limits = TierLimits { retention: WEEK, bytes: 1 << 30 };
        Self {
            recorder: MonitorRecorder::new(100_000, Vec::new()),
            history: History::new(began, [MINUTE]),
            tiers: Tiers::new(limits, run.clone()),
            began,
            minutes: 0,
            runs: vec![run],
        }
    }

    /// Adds a minute with requests: route, status, duration in seconds, and how many.
    pub(super) fn minute(&mut self, requests: &[(&str, &str, f64, usize)]) -> &mut Self {
        for (route, status, seconds, count) in requests {
            let labels: [(&'static str, Arc<str>); 3] =
                [(names::METHOD, "GET".into()), (names::ROUTE, (*route).into()), (names::STATUS, (*status).into())];
            labelled::histogram(&self.recorder, &names::HTTP_DURATION, &labels).record_many(*seconds, *count);
        }
        self.end_minute(Some(100e6))
    }

    fn end_minute(&mut self, memory: Option<f64>) -> &mut Self {
        self.minutes += 1;
        self.history.tick(&self.recorder.index(), self.began + MINUTE * self.minutes);
        let wall = START + MINUTE * self.minutes;
        self.tiers.record(&self.history, Moment { wall, measuring: memory.is_some(), resident_bytes: memory });
        self
    }

    fn minutes(&mut self, count: u32, requests: &[(&str, &str, f64, usize)]) -> &mut Self {
        for _ in 0..count {
            self.minute(requests);
        }
        self
    }

    /// The service does not run for some minutes.
    fn gap(&mut self, minutes: u32) -> &mut Self {
        for _ in 0..minutes {
            self.end_minute(None);
        }
        self.runs.push(Run { started: START + MINUTE * self.minutes, version: "".into() });
        self
    }

    pub(super) fn stored(&mut self) -> StoredHistory {
        self.tiers.finish();
        let slots = self.tiers.slots(Duration::ZERO, START + WEEK * 9);
        let slots = slots.into_iter().map(|slot| PastSlot { start: slot.start, length: slot.length, slot: slot.slot });
        StoredHistory::of(self.tiers.endpoints().clone(), slots.collect(), &self.runs, 0)
    }
}

pub(super) fn rules(text: &str) -> RuleSet {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("rules.yaml"), text).expect("written");
    RuleSet::load_dir(directory.path()).unwrap_or_else(|error| panic!("{error}"))
}

const RULES: &str = "
x-all: &all { scope: endpoint, min_samples: 5, for: 30s, keep_firing_for: 1m, description: x }
rules:
  - { <<: *all, id: slow, measure: avg_duration, thresholds: { high: '> 1s', critical: '> 5s' } }
  - { <<: *all, id: tail, measure: p95_duration, thresholds: { low: '> 2s' }, only_if: avg_duration <= 1s }
  - { <<: *all, id: errors, measure: error_ratio, thresholds: { high: '> 10%' } }
";

/// What fired: severity, rule, subject, minutes from the start to when it fired and for how long.
#[track_caller]
fn check(past: &mut Past, rules_text: &str, expected: &[(Severity, &str, &str, f64, f64)]) {
    let replay = past.stored().replay(&rules(rules_text), None);
    let minutes = |time: Duration| time.as_secs_f64() / 60.0;
    let found: Vec<_> = replay
        .alerts
        .iter()
        .map(|alert| {
            let fired = minutes(alert.fired.saturating_sub(START));
            (alert.severity, &*alert.rule, &*alert.subject, fired, minutes(alert.lasted(replay.to)))
        })
        .collect();
    assert_eq!(found, expected);
}

const FINE: (&str, &str, f64, usize) = ("/a", "200", 0.1, 20);

#[test]
fn what_is_slow_for_some_minutes_fires_and_resolves() {
    let mut past = Past::new();
    past.minutes(10, &[FINE]).minutes(10, &[("/a", "200", 2.0, 20)]).minutes(20, &[FINE]);
    // The mean of five minutes passes 1 s with the third of them that is slow; it fires a minute later, since it is judged
    // once a minute. It is over for the last time when one of them is slow and four are fine.
    check(&mut past, RULES, &[(Severity::High, "slow", "GET /a", 14.0, 10.0)]);
}

#[test]
fn severities_failures_and_percentiles_are_judged() {
    let mut past = Past::new();
    past.minutes(5, &[FINE, ("/b", "200", 6.0, 10), ("/c", "200", 0.01, 80), ("/c", "500", 0.01, 20)]);
    past.minutes(5, &[("/d", "200", 0.1, 90), ("/d", "200", 4.0, 10), ("/e", "404", 0.1, 9)]);
    let replay = past.stored().replay(&rules(RULES), None);
    let found: Vec<_> =
        replay.alerts.iter().map(|alert| format!("{} {} {}", alert.severity, alert.rule, alert.subject)).collect();
    assert_eq!(found, ["high errors GET /c", "critical slow GET /b", "low tail GET /d"]);
    let worst = &replay.alerts[1];
    assert_eq!((worst.worst.as_str(), worst.threshold.as_str()), ("6s", "> 5s"));
}

#[test]
fn few_requests_say_nothing() {
    let mut past = Past::new();
    past.minute(&[("/b", "200", 9.0, 4)]).minutes(10, &[FINE]);
    check(&mut past, RULES, &[]);
}

#[test]
fn a_service_that_ends_resolves_what_fires_and_begins_with_empty_windows() {
    let slow = ("/a", "200", 2.0, 20);
    let mut past = Past::new();
    past.minutes(5, &[slow]).gap(10).minutes(5, &[slow]);
    let expected = [(Severity::High, "slow", "GET /a", 2.0, 3.0), (Severity::High, "slow", "GET /a", 17.0, 3.0)];
    check(&mut past, RULES, &expected);
}

#[test]
fn half_hours_count_as_minutes_that_are_alike() {
    let mut past = Past::new();
    // Longer ago than a day.
    past.minutes(60, &[FINE]).minutes(30, &[("/a", "200", 2.0, 20)]).minutes(30 + 26 * 60, &[FINE]);
    let stored = past.stored();
    assert!(stored.slots.iter().any(|slot| slot.length == MINUTE * 30));
    check(&mut past, RULES, &[(Severity::High, "slow", "GET /a", 60.5, 30.5)]);
    // Five requests in half an hour are fewer than five in five minutes.
    let mut past = Past::new();
    past.minute(&[("/a", "200", 2.0, 20)]).minutes(30 + 26 * 60, &[("/b", "200", 0.1, 1)]);
    check(&mut past, RULES, &[]);
}

#[test]
fn memory_is_judged_and_what_is_not_kept_is_named() {
    let text = "
rules:
  - { id: memory, scope: process, measure: resident_memory, thresholds: { high: '> 90MB' }, for: 30s, description: x }
  - { id: own, scope: endpoint, measure: own_avg_duration, thresholds: { high: '> 1s' }, min_samples: 5, description: x }
  - { id: polls, scope: endpoint, measure: longest_poll, thresholds: { high: '> 1s' }, description: x }
  - { id: word, scope: endpoint, measure: avg_duration, thresholds: { high: '> 1s' }, only_if: cause == slow_call, description: x }
  - { id: half, scope: endpoint, measure: avg_duration, thresholds: { high: '> 1s' }, only_if: busy_ratio > 10%, description: x }
";
    let mut past = Past::new();
    past.minutes(5, &[("/a", "200", 2.0, 20)]);
    let replay = past.stored().replay(&rules(text), None);
    let fired: Vec<_> = replay.alerts.iter().map(|alert| alert.rule.as_str()).collect();
    assert_eq!(fired, ["memory", "own"]);
    let remarks: Vec<_> = replay.remarks.iter().map(|remark| (remark.rule.as_str(), remark.is_judged)).collect();
    assert_eq!(remarks, [("own", true), ("polls", false), ("word", false), ("half", false)]);
    assert_eq!(replay.remarks[1].reason, "longest_poll of scope endpoint is not kept in a history file");
    assert_eq!(replay.remarks[3].reason, "only_if: busy_ratio is not kept in a history file");
}

#[test]
fn the_last_part_can_be_looked_at_alone() {
    let mut past = Past::new();
    past.minutes(10, &[("/a", "200", 2.0, 20)]).minutes(50, &[FINE]).minutes(5, &[("/a", "200", 2.0, 20)]);
    let replay = past.stored().replay(&rules(RULES), Some(MINUTE * 20));
    assert_eq!((replay.from, replay.to), (START + MINUTE * 45, START + MINUTE * 65));
    assert_eq!(replay.alerts.len(), 1);
}

#[test]
fn thresholds_follow_from_what_was_measured_and_the_diff_applies() {
    // With a space, which ends the name of a file in a diff where no tab does.
    let directory = tempfile::Builder::new().prefix("our rules ").tempdir().expect("a directory");
    let file = directory.path().join("shop.yaml");
    let text = "# ours\nrules:\n  - id: slow\n    scope: endpoint\n    measure: avg_duration # of all\n    min_samples: 5\n    for: 30s\n    \
                thresholds: { high: \"> 1s\", critical: \"> 5s\" } # felt\n    # why\n    description: x\n";
    std::fs::write(&file, text).expect("written");
    let mut past = Past::new();
    for minute in 0..600 {
        let seconds = if minute % 100 == 50 { 0.4 } else { 0.1 + f64::from(minute % 10) / 100.0 };
        past.minute(&[
            ("/a", "200", seconds, 20),
            ("/rare/{\"id\"}", "200", 3.0, 1),
            ("/b", "200", 2.0, 20),
            ("/c", "200", 0.9, 20),
        ]);
    }
    let history = past.stored();
    let options = SuggestionOptions::default();
    let suggestions = history.suggest(std::slice::from_ref(&file), &options).expect("good rules");
    let all: Vec<_> = suggestions
        .all
        .iter()
        .map(|one| (one.subject.as_str(), one.thresholds.as_str(), one.fired_today, one.fires))
        .collect();
    // Means of five minutes: the odd minute of 400 ms is a fifth of one.
    let expected = [
        ("GET /a", "high: \"> 320ms\", critical: \"> 1.6s\"", 0, 0),
        ("GET /b", "high: \"> 3s\", critical: \"> 15s\"", 1, 0),
        ("GET /rare/{\"id\"}", "high: \"> 4.5s\", critical: \"> 23s\"", 1, 0),
    ];
    assert_eq!(all, expected, "GET /c has about the threshold that it would get");
    assert_eq!(suggestions.left_out, [], "nobody asked for the others");
    let diff = directory.path().join("suggested.diff");
    std::fs::write(&diff, &suggestions.diff).expect("written");
    let mut patch = suggestions.patch().split(' ');
    let program = patch.next().expect("a program");
    let Ok(patch) = std::process::Command::new(program).args(patch).arg("-i").arg(&diff).output() else { return };
    assert!(patch.status.success(), "{}\n{}", String::from_utf8_lossy(&patch.stdout), suggestions.diff);
    let changed = RuleSet::load_dir(directory.path()).unwrap_or_else(|error| panic!("{error}\n{}", suggestions.diff));
    assert_eq!(history.replay(&changed, None).alerts, []);
    let patched = std::fs::read_to_string(&file).expect("readable");
    let kept: Vec<&str> = patched.lines().filter(|line| text.lines().any(|old| old == *line)).collect();
    assert_eq!(kept, text.lines().collect::<Vec<_>>(), "comments and all that was there stay");
    assert_eq!(history.suggest(&[file], &options).expect("good rules").diff, "", "what has an override keeps it");
}

#[test]
fn a_rule_that_was_asked_for_and_that_no_threshold_follows_for_is_named_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("shop.yaml");
    let rule = |id, scope| {
        format!(
            "  - {{ id: {id}, scope: {scope}, measure: avg_duration, thresholds: {{ high: \"> 1s\" }}, description: x }}\n"
        )
    };
    std::fs::write(&file, format!("rules:\n{}{}", rule("slow", "endpoint"), rule("slow_task", "task")))
        .expect("written");
    let mut past = Past::new();
    let history = past.minutes(10, &[FINE]).stored();
    let left_out = |ids: &[&str]| {
        let rules = ids.iter().map(|id| (*id).to_owned()).collect();
        let options = SuggestionOptions { rules, ..SuggestionOptions::default() };
        history.suggest(std::slice::from_ref(&file), &options).expect("good rules").left_out
    };
    assert_eq!((left_out(&[]), left_out(&["slow"])), (vec![], vec![]));
    let reason = "thresholds follow from what is usual for durations and error rates of endpoints only";
    assert_eq!(left_out(&["slow", "slow_task"]), [("slow_task".to_owned(), reason.to_owned())]);
}
