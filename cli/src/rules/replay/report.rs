//! [`Report`]: what today's rules and the tried ones found, side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use pinchpoint::replay::{PastAlert, Remark, Replay};
use serde_json::{Value, json};

/// Alerts that the table shows; JSON has all.
const SHOWN: usize = 200;

/// Two replays of the same time.
#[derive(Debug)]
pub(super) struct Report {
    /// Where the numbers come from.
    pub(super) source: String,
    pub(super) today: Replay,
    /// `None` where no other rules are tried.
    pub(super) tried: Option<Replay>,
}

/// Under which rules an alert fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Under {
    Today,
    Tried,
    /// Under both, at the same time and with the same severity.
    Both,
}

impl Under {
    fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Tried => "tried",
            Self::Both => "both",
        }
    }
}

impl Report {
    pub(super) fn new(source: String, today: Replay, tried: Option<Replay>) -> Self {
        Self { source, today, tried }
    }

    /// Returns every alert, in the order in which they fired.
    pub(super) fn alerts(&self) -> Vec<(Under, &PastAlert)> {
        let tried = self.tried.iter().flat_map(|replay| &replay.alerts);
        let is_same = |a: &PastAlert, b: &PastAlert| {
            (&a.rule, &a.subject, a.severity, a.fired, a.resolved)
                == (&b.rule, &b.subject, b.severity, b.fired, b.resolved)
        };
        let known: BTreeMap<_, Vec<&PastAlert>> = by_subject(tried.clone());
        let of_today = |alert| match known.get(&key(alert)) {
            Some(others) if others.iter().any(|other| is_same(alert, other)) => (Under::Both, alert),
            _ => (Under::Today, alert),
        };
        let mut all: Vec<(Under, &PastAlert)> = self.today.alerts.iter().map(of_today).collect();
        let today: BTreeMap<_, Vec<&PastAlert>> = by_subject(self.today.alerts.iter());
        let is_new = |alert: &&PastAlert| {
            today.get(&key(alert)).is_none_or(|others| !others.iter().any(|other| is_same(alert, other)))
        };
        all.extend(tried.filter(is_new).map(|alert| (Under::Tried, alert)));
        all.sort_by(|(_, a), (_, b)| (a.fired, key(a)).cmp(&(b.fired, key(b))));
        all
    }

    /// Writes it for a terminal.
    pub(super) fn table(&self) -> String {
        let Replay { from, to, .. } = self.today;
        let mut text = format!("{} to {} ({}), {}\n\n", minute(from), minute(to), zone(to), self.source);
        text += &columns(&self.rules());
        let alerts = self.alerts();
        if alerts.is_empty() {
            text += "\nNothing would have fired.\n";
        } else {
            let mut rows =
                vec![["fired", "for", "severity", "rule", "subject", "worst", "under"].map(str::to_owned).to_vec()];
            rows.extend(alerts.iter().take(SHOWN).map(|(under, alert)| self.row(*under, alert)));
            if self.tried.is_none() {
                rows.iter_mut().for_each(|row| drop(row.pop()));
            }
            let _ = write!(text, "\n{}", columns(&rows));
            if alerts.len() > SHOWN {
                let _ = writeln!(text, "and {} more, which --to json has", alerts.len() - SHOWN);
            }
        }
        for (is_judged, title) in [(true, "Judged in another way than by the service"), (false, "Not judged")] {
            let remarks = self.remarks(is_judged);
            if !remarks.is_empty() {
                let _ = writeln!(text, "\n{title}:");
            }
            for (reason, rules) in remarks {
                let _ = writeln!(text, "- {}: {reason}", rules.into_iter().collect::<Vec<_>>().join(", "));
            }
        }
        text
    }

    fn row(&self, under: Under, alert: &PastAlert) -> Vec<String> {
        let lasted = length(alert.lasted(self.today.to));
        let lasted = if alert.resolved.is_none() { format!("{lasted}+") } else { lasted };
        vec![
            minute(alert.fired),
            lasted,
            alert.severity.to_string(),
            alert.rule.clone(),
            one_line(&alert.subject),
            format!("{} ({})", alert.worst, alert.threshold),
            under.as_str().to_owned(),
        ]
    }

    /// Returns how often and for how long each rule fires.
    fn rules(&self) -> Vec<Vec<String>> {
        let all: BTreeSet<&str> = [Some(&self.today), self.tried.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|replay| &replay.alerts)
            .map(|alert| &*alert.rule)
            .collect();
        let cell = |replay: &Replay, rule: &str| {
            let of_rule = replay.alerts.iter().filter(|alert| alert.rule == rule);
            let (times, lasted) =
                of_rule.fold((0, Duration::ZERO), |(times, sum), alert| (times + 1, sum + alert.lasted(replay.to)));
            if times == 0 { "-".to_owned() } else { format!("{times} × {}", length(lasted / times)) }
        };
        let mut rows = vec![vec!["rule".to_owned(), "today".to_owned()]];
        rows[0].extend(self.tried.is_some().then(|| "tried".to_owned()));
        for rule in all {
            let tried = self.tried.iter().map(|replay| cell(replay, rule));
            rows.push([rule.to_owned(), cell(&self.today, rule)].into_iter().chain(tried).collect());
        }
        if rows.len() == 1 { Vec::new() } else { rows }
    }

    fn remarks(&self, is_judged: bool) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut remarks: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let both = [Some(&self.today), self.tried.as_ref()];
        for Remark { rule, reason, .. } in
            both.into_iter().flatten().flat_map(|replay| &replay.remarks).filter(|remark| remark.is_judged == is_judged)
        {
            remarks.entry(reason).or_default().insert(rule);
        }
        remarks
    }

    /// Writes it for programs.
    pub(super) fn json(&self) -> String {
        let alert = |alert: &PastAlert| {
            json!({
                "rule": alert.rule,
                "subject": alert.subject,
                "severity": alert.severity.to_string(),
                "since": rfc3339(alert.since),
                "fired": rfc3339(alert.fired),
                "resolved": alert.resolved.map(rfc3339),
                "lasted_seconds": alert.lasted(self.today.to).as_secs_f64(),
                "worst": alert.worst,
                "threshold": alert.threshold,
                "precision_seconds": alert.precision.as_secs_f64(),
            })
        };
        let replay = |replay: &Replay| {
            let remarks: Vec<Value> = replay
                .remarks
                .iter()
                .map(|remark| json!({ "rule": remark.rule, "judged": remark.is_judged, "reason": remark.reason }))
                .collect();
            json!({ "alerts": replay.alerts.iter().map(alert).collect::<Vec<_>>(), "remarks": remarks })
        };
        let report = json!({
            "source": self.source,
            "from": rfc3339(self.today.from),
            "to": rfc3339(self.today.to),
            "today": replay(&self.today),
            "tried": self.tried.as_ref().map(replay),
        });
        serde_json::to_string_pretty(&report).unwrap_or_default()
    }
}

/// Rule and subject.
pub(super) fn key(alert: &PastAlert) -> (&str, &str) {
    (&alert.rule, &alert.subject)
}

fn by_subject<'a>(alerts: impl Iterator<Item = &'a PastAlert>) -> BTreeMap<(&'a str, &'a str), Vec<&'a PastAlert>> {
    let mut all: BTreeMap<(&str, &str), Vec<&PastAlert>> = BTreeMap::new();
    alerts.for_each(|alert| all.entry(key(alert)).or_default().push(alert));
    all
}

/// Returns a statement of several lines in one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn columns(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn timestamp(since_epoch: Duration) -> Timestamp {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn rfc3339(since_epoch: Duration) -> String {
    timestamp(since_epoch).to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Returns a time to the minute, by the local clock.
pub(super) fn minute(since_epoch: Duration) -> String {
    timestamp(since_epoch).to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn zone(since_epoch: Duration) -> String {
    timestamp(since_epoch).to_zoned_datetime(TimeZone::system()).strftime("%:z").to_string()
}

/// Returns a length of time in its two largest units.
pub(super) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |one: u64, of: &str, other: u64, than: &str| match other {
        0 => format!("{one}{of}"),
        other => format!("{one}{of} {other}{than}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => two(minutes, "m", seconds % 60, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "m"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}
