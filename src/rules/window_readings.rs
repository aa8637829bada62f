//! Readings from the windows of this process.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::evidence::{EndpointShare, Evidence, Fact, OutcomeShare, QueryShare};
use super::measure::{self, Measure, Scope};
use super::readings::{Question, Reading, Readings, Subject};
use super::rule::MetricSelector;
use super::summary::{self, Durations, Endpoints, QueryUses, Verdict, divide, quantile};
use super::unit::Unit;
use crate::names;
use crate::store::{HistogramSum, SeriesView, Window};

/// How many queries, endpoints and outcomes an evidence names.
const SHOWN: usize = 5;

/// The name of the one subject of the scope `process`.
const PROCESS: &str = "process";

/// Growth of the resident memory over one window, as the leak detector sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MemoryGrowth {
    pub(crate) bytes_per_hour: f64,
    /// Points of the memory curve that it rests on.
    pub(crate) samples: u64,
}

/// Readings of one moment: a window of each length that some rule looks at.
#[derive(Debug, Default)]
pub(crate) struct WindowReadings<'a> {
    windows: HashMap<Duration, Summary<'a>>,
    growth: HashMap<Duration, MemoryGrowth>,
}

impl<'a> WindowReadings<'a> {
    /// Takes the windows by the length that was asked for, which is longer than their span just after the start.
    pub(crate) fn new(windows: impl IntoIterator<Item = (Duration, &'a Window)>) -> Self {
        let windows = windows.into_iter().map(|(length, window)| (length, Summary::of(window))).collect();
        Self { windows, growth: HashMap::new() }
    }

    /// Adds what the leak detector found for rules that look at a window of this length. Without it they have no data.
    pub(crate) fn with_memory_growth(mut self, length: Duration, growth: MemoryGrowth) -> Self {
        self.growth.insert(length, growth);
        self
    }
}

impl Readings for WindowReadings<'_> {
    fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        let Some(summary) = self.windows.get(&question.window) else { return Vec::new() };
        let growth = self.growth.get(&question.window);
        let reading = |subject: &Arc<Subject>, answer: Option<(f64, u64)>| {
            let (value, samples) = answer.filter(|(value, _)| question.at_least.is_none_or(|least| *value >= least))?;
            Some(Reading { subject: subject.clone(), value, samples })
        };
        let measure = question.measure;
        match question.scope {
            Scope::Endpoint => {
                let endpoints = summary.endpoints();
                let enough = endpoints.all.iter().filter(|endpoint| endpoint.durations.count() >= question.min_samples);
                enough
                    .filter(|endpoint| !endpoint.is_surely_below(measure, question.at_least))
                    .filter_map(|endpoint| {
                        let value = endpoint.measure(measure, endpoints)?;
                        reading(&endpoint.subject, Some((value, endpoint.durations.count())))
                    })
                    .collect()
            }
            Scope::Query => {
                let (endpoints, uses) = (summary.endpoints(), summary.uses());
                let each = summary.queries().iter();
                let each = each.filter(|query| !query.durations.is_surely_below(measure, question.at_least));
                each.filter_map(|query| {
                    reading(&query.subject, query.measure(measure, endpoints, uses, question.min_samples))
                })
                .collect()
            }
            Scope::Task => {
                let each = summary.tasks().iter();
                let each = each.filter(|task| !task.durations.is_surely_below(measure, question.at_least));
                each.filter_map(|task| reading(&task.subject, task.measure(measure, summary.endpoints()))).collect()
            }
            Scope::Process => reading(&process(), summary.process(measure, growth)).into_iter().collect(),
            Scope::Metric => question.metric.map_or_else(Vec::new, |metric| summary.metric(metric, measure)),
        }
    }

    fn evidence(&self, scope: Scope, subject: &Subject, window: Duration) -> Evidence {
        let Some(summary) = self.windows.get(&window) else { return Evidence::default() };
        match scope {
            Scope::Endpoint => summary.endpoint_evidence(subject),
            Scope::Query => summary.query_evidence(subject),
            Scope::Task => summary.task_evidence(subject),
            Scope::Process => summary.process_evidence(self.growth.get(&window)),
            Scope::Metric => Some(Evidence::default()),
        }
        .unwrap_or_default()
    }
}

fn process() -> Arc<Subject> {
    Arc::new(Subject { name: PROCESS.into(), labels: Vec::new() })
}

/// One window with what was gathered from it, each part when it is first asked for.
#[derive(Debug)]
struct Summary<'a> {
    window: &'a Window,
    endpoints: OnceCell<Endpoints<'a>>,
    uses: OnceCell<QueryUses<'a>>,
    queries: OnceCell<Vec<summary::Query<'a>>>,
    tasks: OnceCell<Vec<summary::Task<'a>>>,
}

impl<'a> Summary<'a> {
    fn of(window: &'a Window) -> Self {
        let (endpoints, uses) = (OnceCell::new(), OnceCell::new());
        Self { window, endpoints, uses, queries: OnceCell::new(), tasks: OnceCell::new() }
    }

    fn endpoints(&self) -> &Endpoints<'a> {
        self.endpoints.get_or_init(|| Endpoints::of(self.window))
    }

    fn uses(&self) -> &QueryUses<'a> {
        self.uses.get_or_init(|| QueryUses::of(self.window, self.endpoints()))
    }

    fn queries(&self) -> &[summary::Query<'a>] {
        self.queries.get_or_init(|| summary::queries(self.window))
    }

    fn tasks(&self) -> &[summary::Task<'a>] {
        self.tasks.get_or_init(|| summary::tasks(self.window))
    }

    fn gauge(&self, name: &str) -> Option<f64> {
        self.window.series(name).find_map(|series| series.last())
    }

    /// The increase of a counter a second; `None` where there is no such counter.
    fn rate(&self, name: &str) -> Option<f64> {
        let counters: Vec<f64> =
            self.window.series(name).filter(|series| is_counter(series)).map(|series| series.increase()).collect();
        if counters.is_empty() { None } else { divide(counters.iter().sum(), self.window.span().as_secs_f64()) }
    }

    fn process(&self, measure: Measure, growth: Option<&MemoryGrowth>) -> Option<(f64, u64)> {
        let value = match measure {
            Measure::MemoryGrowth => return growth.map(|growth| (growth.bytes_per_hour, growth.samples)),
            Measure::SchedulingLag => {
                let lag = self.window.series(names::TOKIO_SCHEDULING_LAG.name).find_map(|series| series.histogram())?;
                return Some((lag.quantile(quantile(99)?)?, lag.count()));
            }
            Measure::ResidentMemory => self.gauge(names::PROCESS_RESIDENT.name),
            Measure::MemoryLimitRatio => {
                divide(self.gauge(names::PROCESS_RESIDENT.name)?, self.gauge(names::PROCESS_MEMORY_LIMIT.name)?)
            }
            Measure::CpuRatio => self.rate(names::PROCESS_CPU.name),
            Measure::OpenFdsRatio => {
                divide(self.gauge(names::PROCESS_OPEN_FDS.name)?, self.gauge(names::PROCESS_MAX_FDS.name)?)
            }
            Measure::WorkerBusyRatio => {
                divide(self.rate(names::TOKIO_WORKER_BUSY.name)?, self.gauge(names::TOKIO_WORKERS.name)?)
            }
            _ => None,
        };
        Some((value?, 1))
    }

    fn metric(&self, metric: &MetricSelector, measure: Measure) -> Vec<Reading> {
        let mut groups: HashMap<Vec<&str>, Vec<SeriesView<'a>>> = HashMap::new();
        for series in self.window.series(&metric.name) {
            if metric.matches.match_labels(|label| series.label(label)) {
                let values = metric.by.iter().map(|label| series.label(label).unwrap_or_default()).collect();
                groups.entry(values).or_default().push(series);
            }
        }
        let each = groups.into_iter().filter_map(|(values, series)| {
            let (value, samples) = series_measure(&series, measure, self.window.span())?;
            Some(Reading { subject: metric_subject(metric, &values), value, samples })
        });
        each.collect()
    }

    fn endpoint_evidence(&self, subject: &Subject) -> Option<Evidence> {
        let endpoints = self.endpoints();
        let place = endpoints.index_of(subject.label(names::METHOD)?, subject.label(names::ROUTE)?)?;
        let endpoint = endpoints.all.get(place)?;
        let seconds = endpoint.durations.seconds();
        let mut facts = Facts::default();
        facts.measures(Scope::Endpoint, |measure| endpoint.measure(measure, endpoints));
        facts.number("requests", Unit::Count, Some(endpoint.durations.count() as f64));
        let uses = self.uses().of_endpoint(place);
        if let Some(top) = uses.first() {
            facts.word("top_query", Some(top.query));
            facts.number("top_query_time_ratio", Unit::Ratio, divide(top.seconds, seconds));
            facts.number("top_query_calls_per_request", Unit::Count, divide(top.calls, top.requests));
            facts.number("top_query_avg_duration", Unit::Seconds, divide(top.seconds, top.calls));
        }
        facts.top(&endpoint.durations, Verdict::Failed, "top_error", "top_error_ratio");
        facts.top(&endpoint.durations, Verdict::Refused, "top_client_error", "top_client_error_ratio");
        let queries = uses.iter().take(SHOWN).map(|query_use| QueryShare {
            query: query_use.query.into(),
            calls: query_use.calls as u64,
            calls_per_request: divide(query_use.calls, query_use.requests),
            seconds: query_use.seconds,
            time_ratio: divide(query_use.seconds, seconds),
        });
        Some(Evidence {
            time_share: divide(seconds, endpoints.seconds),
            queries: queries.collect(),
            outcomes: outcomes(&endpoint.durations),
            facts: facts.0,
            endpoints: Vec::new(),
        })
    }

    fn query_evidence(&self, subject: &Subject) -> Option<Evidence> {
        let query = self.queries().iter().find(|query| query.subject.name == subject.name)?;
        let (all, uses) = (self.endpoints(), self.uses());
        let seconds = query.durations.seconds();
        let name_of = |place: usize| all.all.get(place).map(|endpoint| endpoint.subject.name.clone());
        let mut facts = Facts::default();
        facts.measures(Scope::Query, |measure| Some(query.measure(measure, all, uses, 1)?.0));
        facts.number("calls", Unit::Count, Some(query.durations.count() as f64));
        facts.word("operation", Some(query.operation).filter(|operation| !operation.is_empty()));
        let by_endpoint = uses.of_query(&subject.name);
        facts.number("endpoints", Unit::Count, Some(by_endpoint.len() as f64));
        if let Some(top) = by_endpoint.first() {
            facts.word("top_endpoint", name_of(top.endpoint).as_deref());
            facts.number("top_endpoint_ratio", Unit::Ratio, divide(top.seconds, seconds));
        }
        facts.word("worst_endpoint", uses.worst(&subject.name, 1).and_then(|worst| name_of(worst.endpoint)).as_deref());
        let endpoints = by_endpoint.iter().take(SHOWN).filter_map(|query_use| {
            Some(EndpointShare {
                endpoint: name_of(query_use.endpoint)?,
                calls: query_use.calls as u64,
                calls_per_request: divide(query_use.calls, query_use.requests),
                seconds: query_use.seconds,
                time_ratio: divide(query_use.seconds, seconds),
            })
        });
        Some(Evidence {
            time_share: divide(seconds, all.seconds),
            endpoints: endpoints.collect(),
            outcomes: outcomes(&query.durations),
            facts: facts.0,
            queries: Vec::new(),
        })
    }

    fn task_evidence(&self, subject: &Subject) -> Option<Evidence> {
        let task = self.tasks().iter().find(|task| task.subject.name == subject.name)?;
        let endpoints = self.endpoints();
        let mut facts = Facts::default();
        facts.measures(Scope::Task, |measure| Some(task.measure(measure, endpoints)?.0));
        facts.number("runs", Unit::Count, Some(task.durations.count() as f64));
        facts.top(&task.durations, Verdict::Failed, "top_failure", "top_failure_ratio");
        Some(Evidence {
            time_share: divide(task.durations.seconds(), endpoints.seconds),
            outcomes: outcomes(&task.durations),
            facts: facts.0,
            ..Evidence::default()
        })
    }

    fn process_evidence(&self, growth: Option<&MemoryGrowth>) -> Option<Evidence> {
        let mut facts = Facts::default();
        facts.measures(Scope::Process, |measure| Some(self.process(measure, growth)?.0));
        let gauges = [
            ("memory_limit", Unit::Bytes, names::PROCESS_MEMORY_LIMIT),
            ("open_fds", Unit::Count, names::PROCESS_OPEN_FDS),
            ("max_fds", Unit::Count, names::PROCESS_MAX_FDS),
            ("threads", Unit::Count, names::PROCESS_THREADS),
        ];
        for (name, unit, metric) in gauges {
            facts.number(name, unit, self.gauge(metric.name));
        }
        let room = self.gauge(names::PROCESS_MEMORY_LIMIT.name).zip(self.gauge(names::PROCESS_RESIDENT.name));
        if let Some(((limit, resident), growth)) = room.zip(growth) {
            let hours = divide((limit - resident).max(0.0), growth.bytes_per_hour);
            facts.number("time_to_limit", Unit::Seconds, hours.map(|hours| hours * 3600.0));
        }
        let blockers = self.blockers();
        if let Some(top) = blockers.first() {
            facts.word("top_blocker", Some(&top.endpoint));
            facts.number("top_blocker_poll", Unit::Seconds, Some(top.seconds));
        }
        Some(Evidence { facts: facts.0, endpoints: blockers, ..Evidence::default() })
    }

    /// The endpoints with the longest polls, the longest first.
    fn blockers(&self) -> Vec<EndpointShare> {
        let all = self.endpoints();
        let each = all.all.iter().filter_map(|endpoint| {
            Some(EndpointShare {
                endpoint: endpoint.subject.name.clone(),
                calls: endpoint.durations.count(),
                calls_per_request: None,
                seconds: endpoint.measure(Measure::LongestPollQuantile(95), all)?,
                time_ratio: endpoint.measure(Measure::BusyRatio, all),
            })
        });
        let mut blockers: Vec<_> = each.collect();
        blockers.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.endpoint.cmp(&b.endpoint)));
        blockers.truncate(SHOWN);
        blockers
    }
}

fn is_counter(series: &SeriesView<'_>) -> bool {
    series.last().is_none() && series.histogram().is_none()
}

/// A measure over some series of one metric, and the observations it rests on.
fn series_measure(series: &[SeriesView<'_>], measure: Measure, span: Duration) -> Option<(f64, u64)> {
    let mut histograms = HistogramSum::default();
    let (mut gauges, mut counters): (Option<f64>, Option<f64>) = (None, None);
    for series in series {
        match (series.histogram(), series.last()) {
            (Some(view), _) => view.add_to(&mut histograms),
            (None, Some(value)) => *gauges.get_or_insert_default() += value,
            (None, None) => *counters.get_or_insert_default() += series.increase(),
        }
    }
    let observed = histograms.count();
    match measure {
        Measure::Value => Some((gauges.or(counters)?, 1)),
        Measure::Rate if observed > 0 => Some((divide(observed as f64, span.as_secs_f64())?, observed)),
        Measure::Rate => Some((divide(counters?, span.as_secs_f64())?, counters? as u64)),
        Measure::Avg => Some((histograms.mean()?, observed)),
        Measure::Max => Some((histograms.max()?, observed)),
        Measure::Quantile(percent) => Some((histograms.quantile(quantile(percent)?)?, observed)),
        _ => None,
    }
}

/// `name{label="value"}`, as Prometheus writes it.
fn metric_subject(metric: &MetricSelector, values: &[&str]) -> Arc<Subject> {
    let labels: Vec<(Cow<'static, str>, Arc<str>)> =
        metric.by.iter().zip(values).map(|(label, value)| (Cow::Owned(label.to_string()), Arc::from(*value))).collect();
    let written: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    let name =
        if written.is_empty() { metric.name.to_string() } else { format!("{}{{{}}}", metric.name, written.join(",")) };
    Arc::new(Subject { name: name.into(), labels })
}

fn outcomes(durations: &Durations<'_>) -> Vec<OutcomeShare> {
    let all = durations.count() as f64;
    let each = durations.by_ending().into_iter().take(SHOWN);
    each.map(|(ending, count)| OutcomeShare { outcome: ending.name.into(), count, ratio: count as f64 / all }).collect()
}

/// Facts being gathered; what has no value is left out.
#[derive(Default)]
struct Facts(Vec<(&'static str, Fact)>);

impl Facts {
    fn measures(&mut self, scope: Scope, value: impl Fn(Measure) -> Option<f64>) {
        for entry in measure::of_scope(scope) {
            self.number(entry.name, entry.unit, value(entry.measure));
        }
    }

    fn number(&mut self, name: &'static str, unit: Unit, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        self.0.extend(value.map(|value| (name, Fact::Number(value, unit))));
    }

    fn word(&mut self, name: &'static str, word: Option<&str>) {
        self.0.extend(word.map(|word| (name, Fact::Word(word.into()))));
    }

    /// The most frequent ending of a kind, and its share of that kind.
    fn top(&mut self, durations: &Durations<'_>, verdict: Verdict, name: &'static str, ratio: &'static str) {
        let endings = durations.by_ending();
        let of_kind = || endings.iter().filter(|(ending, _)| ending.verdict == verdict);
        let all: u64 = of_kind().map(|(_, count)| count).sum();
        if let Some((ending, count)) = of_kind().next() {
            self.word(name, Some(ending.name));
            self.number(ratio, Unit::Ratio, divide(*count as f64, all as f64));
        }
    }
}
