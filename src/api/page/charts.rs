//! What changed: the charts of the service and of an endpoint, with the thresholds of the rules and what happened meanwhile.

use std::{collections::HashMap, time::Duration};

use jiff::tz::TimeZone;

use super::{html::Html, place::Range, shell, sight::Sight};
use crate::{
    alert::Change,
    api::{report::words, timestamp},
    markup::{Chart, Level, Line, Mark, MarkKind, Stroke, XAxis, numbers},
    monitor::{Happened, Mark as Happening, PULSE_STEP, Step},
    rules::{Course, CoursePoint, Measure, Rule, Scope, Severity, Subject, Threshold},
};

/// Marks that are drawn; of more, the latest.
const MARKS: usize = 60;
/// What happened, in a list below the charts.
const HAPPENED: usize = 12;

/// The course of a time, ready to be drawn.
struct Drawn {
    /// The middle of each point, in seconds since the Unix epoch.
    times: Vec<f64>,
    points: Vec<CoursePoint>,
    marks: Vec<Mark>,
    /// Why there may be no line.
    nothing: String,
}

impl Drawn {
    fn of(sight: &Sight<'_>, endpoint: Option<&str>) -> Self {
        let here = sight.here;
        let length = here.range.length();
        let to = sight.core.wall(sight.now);
        let from = to.saturating_sub(length);
        let (points, middles, runs) = match (endpoint, here.range) {
            (None, Range::Quarter) => {
                let (points, middles) = pulse(sight);
                (points, middles, sight.core.course(length, here.range.width(), None, sight.now).runs)
            }
            _ => {
                let course = sight.core.course(length, here.range.width(), endpoint, sight.now);
                let middles = middles(&course);
                (course.points, middles, course.runs)
            }
        };
        let mut marks: Vec<Mark> =
            sight.core.marks(from).iter().filter_map(|happening| mark(happening, endpoint)).collect();
        marks.extend(runs.iter().map(|(at, version)| match version.is_empty() {
            true => Mark { x: at.as_secs_f64(), kind: MarkKind::Run, text: "service started".to_owned() },
            false => Mark { x: at.as_secs_f64(), kind: MarkKind::Version, text: format!("version {version} started") },
        }));
        marks.sort_by(|a, b| a.x.total_cmp(&b.x));
        Self { nothing: nothing(sight, endpoint), times: middles, points, marks }
    }

    fn line(&self, name: &str, stroke: Stroke, value: impl Fn(&CoursePoint) -> Option<f64>) -> Line {
        Line { name: name.to_owned(), stroke, values: self.points.iter().map(value).collect() }
    }

    fn chart(&self, page: &mut Html, title: &'static str, lines: Vec<Line>, levels: Vec<Level>, y: fn(f64) -> String) {
        if lines.iter().flat_map(|line| &line.values).all(Option::is_none) {
            page.raw("<figure class=\"chart\"><figcaption>").raw(title).raw("</figcaption><p class=\"empty small\">");
            page.text(&self.nothing).raw("</p></figure>");
            return;
        }
        let shown = self.marks.len().saturating_sub(MARKS);
        let chart = Chart {
            lines,
            levels,
            marks: self.marks[shown..].to_vec(),
            lists_marks: false,
            interactive: true,
            ..Chart::new(title, &y, XAxis::WallClock(TimeZone::system()), &self.times)
        };
        chart.html(page);
    }

    /// The charts that the service and an endpoint have alike.
    fn of_requests(&self, page: &mut Html, [times, errors]: [Vec<Level>; 2]) {
        let percentiles = vec![
            self.line("p50", Stroke::First, |point| point.p50),
            self.line("p95", Stroke::Second, |point| point.p95),
            self.line("p99", Stroke::Third, |point| point.p99),
        ];
        self.chart(page, "Response time", percentiles, times, numbers::seconds);
        let rate = vec![self.line("requests", Stroke::First, |point| point.rate)];
        self.chart(page, "Requests a second", rate, Vec::new(), numbers::per_second);
        let failed = vec![self.line("failed", Stroke::Bad, CoursePoint::error_ratio)];
        self.chart(page, "Server errors", failed, errors, numbers::ratio);
    }
}

/// Says why nothing is drawn, and until when that is so where it is known.
fn nothing(sight: &Sight<'_>, endpoint: Option<&str>) -> String {
    if !sight.status.monitoring {
        return "Nothing was measured in this time: monitoring is stopped.".to_owned();
    }
    let age = sight.now.saturating_duration_since(sight.core.started());
    // The trends have whole minutes.
    if (endpoint.is_some() || sight.here.range != Range::Quarter) && age < 2 * MINUTE {
        let ready = sight.core.wall(sight.now).as_secs() / 60 * 60 + 60 + sight.core.interval().as_secs();
        let at = timestamp::of_wall(Duration::from_secs(ready));
        return format!("Too little data yet, until about {}.", numbers::moment(&at));
    }
    "Nothing was measured in this time.".to_owned()
}

const MINUTE: Duration = Duration::from_secs(60);

/// The last quarter of an hour, in steps of some seconds; also those in which there was no service yet.
fn pulse(sight: &Sight<'_>) -> (Vec<CoursePoint>, Vec<f64>) {
    let known: HashMap<u64, Step> = sight.core.pulse().into_iter().map(|step| (step.at, step)).collect();
    let now = sight.core.wall(sight.now).as_secs() / PULSE_STEP * PULSE_STEP;
    let first = now.saturating_sub(Range::Quarter.length().as_secs());
    // The step under way has no tick in it yet, or some.
    let last = if known.contains_key(&now) { now } else { now.saturating_sub(PULSE_STEP) };
    let steps = (first..=last).step_by(PULSE_STEP as usize);
    let point = |at: u64| {
        let Some(step) = known.get(&at) else { return CoursePoint::default() };
        CoursePoint {
            count: step.count,
            errors: step.errors,
            p50: step.p50,
            p95: step.p95,
            p99: step.p99,
            rate: (!step.measured.is_zero()).then(|| step.count as f64 / step.measured.as_secs_f64()),
            memory_bytes: step.memory_bytes,
            cpu: step.cpu,
        }
    };
    let half = PULSE_STEP as f64 / 2.0;
    (steps.clone().map(point).collect(), steps.map(|at| at as f64 + half).collect())
}

fn middles(course: &Course) -> Vec<f64> {
    // Of a stretch that the service was started in, what was measured lies after that.
    let started = course.runs.first().map_or(Duration::ZERO, |(started, _)| *started);
    let middle = |at: usize| {
        let from = course.from() + course.width * at as u32;
        let begins = if (from..from + course.width).contains(&started) { started } else { from };
        (begins + (from + course.width).saturating_sub(begins) / 2).as_secs_f64()
    };
    (0..course.points.len()).map(middle).collect()
}

/// Says what a mark means; nothing where it is about something else.
fn mark(happening: &Happening, endpoint: Option<&str>) -> Option<Mark> {
    let (kind, text) = match &happening.happened {
        Happened::Bottleneck { change, rule, subject, severity } => {
            if endpoint.is_some_and(|endpoint| endpoint != &**subject) {
                return None;
            }
            let subject = words::shortened(subject);
            match change {
                Change::Started => (MarkKind::Began, format!("{rule} began on {subject} ({severity})")),
                Change::Changed { from } => (MarkKind::Began, format!("{rule} on {subject}: {from} became {severity}")),
                Change::Resolved => (MarkKind::Ended, format!("{rule} ended on {subject}")),
            }
        }
        Happened::Reloaded => (MarkKind::Reload, "rules reloaded".to_owned()),
        Happened::Refused => (MarkKind::Reload, "an edit of the rules was refused".to_owned()),
        Happened::Stopped => (MarkKind::Reload, "monitoring stopped".to_owned()),
        Happened::Started => (MarkKind::Reload, "monitoring started".to_owned()),
        Happened::Cleared => (MarkKind::Reload, "data cleared".to_owned()),
    };
    Some(Mark { x: happening.at.as_secs_f64(), kind, text })
}

/// Returns the thresholds of the rules in force that look at one of these measures of a subject.
fn levels(sight: &Sight<'_>, scope: Scope, measures: &[Measure], subject: &Subject) -> Vec<Level> {
    let rules = sight.core.rules_state();
    let looks = |rule: &&std::sync::Arc<Rule>| {
        rule.scope == scope && measures.contains(&rule.measure) && rule.applies_to(subject)
    };
    let of_rule = |rule: &std::sync::Arc<Rule>| {
        let under = if rule.only_if.is_some() { ", under a condition" } else { "" };
        let level = |(severity, threshold): &(Severity, Threshold)| Level {
            value: threshold.limit,
            severity: severity.as_str(),
            text: format!(
                "{} {severity} ({} on {}{under})",
                rule.unit.render(threshold.limit),
                rule.id,
                rule.measure_name
            ),
        };
        rule.thresholds_for(subject).0.iter().map(level).collect::<Vec<_>>()
    };
    rules.set.rules().iter().filter(looks).flat_map(of_rule).collect()
}

/// Writes the charts of the whole service.
pub(super) fn service(page: &mut Html, sight: &Sight<'_>) {
    let drawn = Drawn::of(sight, None);
    let process = Subject::new("process", Vec::new());
    open(page, sight);
    drawn.of_requests(page, [Vec::new(), Vec::new()]);
    let levels_of = |measures: &[Measure]| levels(sight, Scope::Process, measures, &process);
    let memory = vec![drawn.line("memory", Stroke::First, |point| point.memory_bytes)];
    drawn.chart(page, "Memory", memory, levels_of(&[Measure::ResidentMemory]), numbers::bytes);
    let cpu = vec![drawn.line("CPU", Stroke::First, |point| point.cpu)];
    drawn.chart(page, "CPU, of one core", cpu, levels_of(&[Measure::CpuRatio]), numbers::ratio);
    close(page, &drawn.marks);
}

/// Writes the charts of one endpoint.
pub(super) fn endpoint(page: &mut Html, sight: &Sight<'_>, name: &str) {
    let drawn = Drawn::of(sight, Some(name));
    open(page, sight);
    let (method, route) = name.split_once(' ').unwrap_or(("", name));
    let labels = [(crate::names::METHOD, method), (crate::names::ROUTE, route)];
    let subject = Subject::new(name, labels.map(|(name, value)| (name.into(), value.into())).into());
    let of = |measures: &[Measure]| levels(sight, Scope::Endpoint, measures, &subject);
    let durations = [
        Measure::DurationQuantile(50),
        Measure::DurationQuantile(95),
        Measure::DurationQuantile(99),
        Measure::OwnDurationQuantile(50),
        Measure::OwnDurationQuantile(95),
        Measure::OwnDurationQuantile(99),
    ];
    drawn.of_requests(page, [of(&durations), of(&[Measure::ErrorRatio])]);
    close(page, &drawn.marks);
}

fn open(page: &mut Html, sight: &Sight<'_>) {
    page.raw("<section id=\"changed\"><h2>What changed</h2>");
    shell::ranges(page, sight.here);
    page.raw("<p class=\"small muted meaning\">Vertical lines: <span class=\"began\">a finding began</span>, <span class=\"ended\">one ended</span>, ");
    page.raw(
        "<span class=\"run\">the service was started</span>, <span class=\"reload\">something was changed</span></p>",
    );
    page.raw("<div class=\"charts card\">");
}

fn close(page: &mut Html, marks: &[Mark]) {
    page.raw("</div>");
    if !marks.is_empty() {
        page.raw(
            "<details class=\"card\" id=\"happened\"><summary>What happened meanwhile</summary><ol class=\"happened\">",
        );
        for mark in marks.iter().rev().take(HAPPENED) {
            page.raw(match mark.kind {
                MarkKind::Began => "<li class=\"began\">",
                MarkKind::Ended => "<li class=\"ended\">",
                MarkKind::Reload | MarkKind::Version | MarkKind::Run => "<li>",
            });
            page.time(&timestamp::of_wall(Duration::from_secs_f64(mark.x.max(0.0))))
                .raw(" ")
                .text(&mark.text)
                .raw("</li>");
        }
        page.raw("</ol>");
        if marks.len() > HAPPENED {
            page.raw("<p class=\"small muted\">and ")
                .text(&(marks.len() - HAPPENED).to_string())
                .raw(" before that</p>");
        }
        page.raw("</details>");
    }
    page.raw("</section>");
}
