//! What changed: the charts of the service and of an endpoint, with the thresholds of the rules and what happened meanwhile.

use std::time::Duration;

use super::{
    chart::{Chart, Level, Line, Moment, Times},
    html::Html,
    place::Range,
    shell,
    sight::{Sight, time},
};
use crate::{
    alert::Change,
    api::timestamp,
    monitor::{Happened, Mark, PULSE_STEP},
    rules::{Course, CoursePoint, Measure, Rule, Scope, Severity, Subject, Threshold, Unit},
};

/// What happened, in a list below the charts.
const HAPPENED: usize = 12;

/// The course of a time, ready to be drawn.
struct Drawn {
    times: Times,
    points: Vec<CoursePoint>,
    moments: Vec<Moment>,
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
        let mut moments: Vec<Moment> =
            sight.core.marks(from).iter().filter_map(|mark| moment(mark, endpoint)).collect();
        moments.extend(runs.iter().map(|(at, version)| Moment {
            at: at.as_secs_f64(),
            class: "run",
            text: if version.is_empty() { "service started".to_owned() } else { format!("version {version} started") },
        }));
        moments.sort_by(|a, b| a.at.total_cmp(&b.at));
        let times = Times { from: from.as_secs_f64(), to: to.as_secs_f64(), points: middles };
        Self { times, points, moments }
    }

    fn line(&self, name: &'static str, class: &'static str, value: impl Fn(&CoursePoint) -> Option<f64>) -> Line {
        Line { name, class, values: self.points.iter().map(value).collect() }
    }

    fn chart(&self, id: &'static str, title: &'static str, lines: Vec<Line>, show: fn(f64) -> String) -> Chart<'_> {
        Chart {
            id,
            title,
            times: &self.times,
            lines,
            levels: Vec::new(),
            moments: &self.moments,
            show,
            nothing: NOTHING_YET,
        }
    }

    /// The charts that the service and an endpoint have alike.
    fn of_requests(&self, page: &mut Html, [times, errors]: [Vec<Level>; 2]) {
        let percentiles = vec![
            self.line("p50", "l1", |point| point.p50),
            self.line("p95", "l2", |point| point.p95),
            self.line("p99", "l3", |point| point.p99),
        ];
        Chart { levels: times, ..self.chart("times", "Response time", percentiles, seconds) }.write(page);
        let rate = vec![self.line("requests", "l1", |point| point.rate)];
        self.chart("rate", "Requests a second", rate, |rate| Unit::PerSecond.render(rate)).write(page);
        let failed = vec![self.line("failed", "l1", CoursePoint::error_ratio)];
        Chart { levels: errors, ..self.chart("errors", "Server errors", failed, |ratio| Unit::Ratio.render(ratio)) }
            .write(page);
    }
}

const NOTHING_YET: &str = "Too little has been measured in this time; the first point comes when a minute is full.";

fn seconds(seconds: f64) -> String {
    Unit::Seconds.render(seconds)
}

/// The last quarter of an hour, in steps of some seconds.
fn pulse(sight: &Sight<'_>) -> (Vec<CoursePoint>, Vec<f64>) {
    let steps = sight.core.pulse();
    let half = PULSE_STEP as f64 / 2.0;
    let middles = steps.iter().map(|step| step.at as f64 + half).collect();
    let point = |step: crate::monitor::Step| CoursePoint {
        count: step.count,
        errors: step.errors,
        p50: step.p50,
        p95: step.p95,
        p99: step.p99,
        rate: (!step.measured.is_zero()).then(|| step.count as f64 / step.measured.as_secs_f64()),
        memory_bytes: step.memory_bytes,
        cpu: step.cpu,
    };
    (steps.into_iter().map(point).collect(), middles)
}

fn middles(course: &Course) -> Vec<f64> {
    let middle = |at: usize| (course.from() + course.width * at as u32 + course.width / 2).as_secs_f64();
    (0..course.points.len()).map(middle).collect()
}

/// Says what a mark means; nothing where it is about something else.
fn moment(mark: &Mark, endpoint: Option<&str>) -> Option<Moment> {
    let (class, text) = match &mark.happened {
        Happened::Bottleneck { change, rule, subject, severity } => {
            if endpoint.is_some_and(|endpoint| endpoint != &**subject) {
                return None;
            }
            let subject = crate::api::report::words::shortened(subject);
            match change {
                Change::Started => ("began", format!("{rule} began on {subject} ({severity})")),
                Change::Changed { from } => ("began", format!("{rule} on {subject}: {from} became {severity}")),
                Change::Resolved => ("ended", format!("{rule} ended on {subject}")),
            }
        }
        Happened::Reloaded => ("reload", "rules reloaded".to_owned()),
        Happened::Refused => ("reload", "an edit of the rules was refused".to_owned()),
        Happened::Stopped => ("reload", "monitoring stopped".to_owned()),
        Happened::Started => ("reload", "monitoring started".to_owned()),
        Happened::Cleared => ("reload", "data cleared".to_owned()),
    };
    Some(Moment { at: mark.at.as_secs_f64(), class, text })
}

/// Returns the thresholds of the rules in force that look at one of these measures of a subject.
fn levels(sight: &Sight<'_>, scope: Scope, measures: &[Measure], subject: &Subject) -> Vec<Level> {
    let rules = sight.core.rules_state();
    let looks = |rule: &&std::sync::Arc<Rule>| {
        rule.scope == scope && measures.contains(&rule.measure) && rule.only_if.is_none() && rule.applies_to(subject)
    };
    let of_rule = |rule: &std::sync::Arc<Rule>| {
        let level = |(severity, threshold): &(Severity, Threshold)| Level {
            value: threshold.limit,
            severity: *severity,
            rule: format!("{} on {}", rule.id, rule.measure_name),
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
    let memory = vec![drawn.line("memory", "l1", |point| point.memory_bytes)];
    let levels_of = |measures: &[Measure]| levels(sight, Scope::Process, measures, &process);
    let chart = drawn.chart("memory", "Memory", memory, |bytes| Unit::Bytes.render(bytes));
    Chart { levels: levels_of(&[Measure::ResidentMemory]), ..chart }.write(page);
    let cpu = vec![drawn.line("CPU", "l1", |point| point.cpu)];
    let chart = drawn.chart("cpu", "CPU, of one core", cpu, |ratio| Unit::Ratio.render(ratio));
    Chart { levels: levels_of(&[Measure::CpuRatio]), ..chart }.write(page);
    close(page, &drawn.moments);
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
        Measure::AvgDuration,
        Measure::OwnAvgDuration,
        Measure::DurationQuantile(50),
        Measure::DurationQuantile(95),
        Measure::DurationQuantile(99),
    ];
    drawn.of_requests(page, [of(&durations), of(&[Measure::ErrorRatio])]);
    close(page, &drawn.moments);
}

fn open(page: &mut Html, sight: &Sight<'_>) {
    page.raw("<section id=\"changed\"><h2>What changed</h2>");
    shell::ranges(page, sight.here);
    page.raw("<div class=\"charts card\">");
}

fn close(page: &mut Html, moments: &[Moment]) {
    page.raw("</div>");
    if !moments.is_empty() {
        page.raw(
            "<details class=\"card\" id=\"happened\"><summary>What happened meanwhile</summary><ol class=\"happened\">",
        );
        for moment in moments.iter().rev().take(HAPPENED) {
            page.raw("<li class=\"").raw(moment.class).raw("\">");
            time(page, &timestamp::of_wall(Duration::from_secs_f64(moment.at.max(0.0))));
            page.raw(" ").text(&moment.text).raw("</li>");
        }
        page.raw("</ol>");
        if moments.len() > HAPPENED {
            page.raw("<p class=\"small muted\">and ")
                .text(&(moments.len() - HAPPENED).to_string())
                .raw(" before that</p>");
        }
        page.raw("</details>");
    }
    page.raw("</section>");
}
