//! Load, a table and a verdict.

use std::path::Path;

use super::capacity::{Found, Search};
use super::error::ToolError;
use super::print;
use super::session::Session;
use crate::cli::{LoadTestArgs, OnSaturation, ServerOptions, VerdictOptions};
use crate::compare::{CompareError, check_comparable, check_conclusive, compare};
use crate::engine::{Actor, LoadPlan, StopReason, hint_for};
use crate::interrupt::Interrupt;
use crate::plan::{check_thresholds, known_endpoints, load_plan};
use crate::report::{check_writable, render_table, render_verdict, write_outputs};
use crate::result::{
    ArrivalsResult, Comparison, Direction, EndpointResult, GeneratorResult, LoadResult, RunResult, SearchEnd,
    VerdictResult, read_result,
};
use crate::server::{ClientOptions, Credentials, DEFAULT_TIMEOUT, ServerClient, ServerWatch, ServiceError, join};
use crate::verdict::{Check, CheckSource, CheckStatus, Conclusion, Rules, Threshold, implicit, judge_thresholds};
use crate::watch::Screen;

/// What a run must meet.
#[derive(Debug)]
pub(super) struct Judge {
    thresholds: Vec<Threshold>,
    rules: Rules,
}

impl Judge {
    pub(super) fn new(options: &VerdictOptions, plan: &LoadPlan) -> Result<Self, ToolError> {
        check_thresholds(&options.thresholds, &plan.actors)?;
        Ok(Self {
            thresholds: options.thresholds.clone(),
            rules: Rules::load(options.rules.as_deref(), options.no_rules, options.fail_on.severity())?,
        })
    }

    /// All conditions and what became of them.
    pub(super) fn checks(&self, session: &Session) -> Vec<Check> {
        let elapsed = session.end.elapsed;
        let mut checks = judge_thresholds(&self.thresholds, &session.tally, elapsed.as_secs_f64());
        checks.extend(self.rules.judge(&session.tally, elapsed));
        checks.extend(implicit(&session.tally, &self.thresholds));
        checks
    }
}

/// Runs a load test and returns how it ended.
pub(crate) async fn run_load_test(
    arguments: &LoadTestArgs,
    code: &[Actor],
    interrupt: &Interrupt,
) -> Result<Conclusion, ToolError> {
    let plan = load_plan(arguments, code)?;
    let judge = Judge::new(&arguments.verdict, &plan)?;
    let baseline = arguments.baseline.baseline.as_deref().map(|path| read_baseline(path, &plan)).transpose()?;
    check_writable(&arguments.output.outputs)?;
    let mut screen = Screen::new(arguments.output.progress, arguments.output.quiet);
    let server = server_client(&arguments.server, &plan);
    let fail_on_saturation = arguments.verdict.saturation == OnSaturation::Fail;

    let (mut result, checks, session, reason) = if arguments.capacity.find_capacity {
        let (most, saturation) = (arguments.capacity.max_load, arguments.verdict.saturation);
        let search = Search { plan: &plan, judge: &judge, most, saturation, interrupt, server: server.clone() };
        let Found { capacity, session, plan } = search.run(&mut screen).await?;
        let mut result = measured(&plan, &session);
        let mut checks = judge.checks(&session);
        // The run that is shown may have ended before the search was interrupted.
        let reason =
            if capacity.ended == SearchEnd::Interrupted { StopReason::Interrupted } else { session.end.reason };
        if reason == StopReason::Finished
            && capacity.capacity.is_none()
            && checks.iter().all(|check| check.status != CheckStatus::Breached)
        {
            checks.push(Check {
                source: CheckSource::Always,
                subject: "capacity".to_owned(),
                condition: "some load is confirmed".to_owned(),
                observed: capacity.describe(),
                status: CheckStatus::Breached,
            });
        }
        result.capacity = Some(capacity);
        (result, checks, session, reason)
    } else {
        let watch = match server.clone() {
            Some(client) => ServerWatch::start(client).await,
            None => None,
        };
        let session = Session::run(&plan, interrupt, &mut screen, || watch.as_ref().map(ServerWatch::line)).await?;
        let mut result = measured(&plan, &session);
        if let Some(watch) = watch {
            let (before, after, seen) = watch.finish().await;
            result.server = Some(join(&session.tally, &before, after.as_ref(), seen));
        }
        let (checks, reason) = (judge.checks(&session), session.end.reason);
        (result, checks, session, reason)
    };
    result.server_requests = server.as_ref().map_or(0, ServerClient::request_count);
    result.server_refused = refusal(server.as_ref());
    let mut checks = checks;
    if let Some(baseline) = &baseline {
        let comparison = compare(baseline, &result);
        checks.extend(comparison_checks(&comparison));
        result.comparison = Some(comparison);
    }
    let conclusion = Conclusion::of(reason, session.generator.is_saturated() && fail_on_saturation, &checks);
    result.verdict = VerdictResult::new(conclusion, &checks);
    if !arguments.output.quiet {
        print(&render_table(&result));
    }
    print(&render_verdict(&result));
    write_outputs(&arguments.output.outputs, &result)?;
    if session.end.reason == StopReason::Unreachable {
        return Err(unreachable(&plan, &session));
    }
    Ok(conclusion)
}

fn measured(plan: &LoadPlan, session: &Session) -> RunResult {
    let mut result = RunResult::measured(
        "load-test",
        plan.base.as_str(),
        session.started_at.clone(),
        plan.model,
        session.end,
        &session.tally,
        &session.shared.recorder,
    );
    result.arrivals = session.shared.gauges.arrivals().map(ArrivalsResult::from);
    result.generator = GeneratorResult::new(&session.generator, session.tally.total().count());
    result
}

/// The error of a run in which no request got a response.
pub(super) fn unreachable(plan: &LoadPlan, session: &Session) -> ToolError {
    let courses = session.tally.endpoints().iter();
    let problem = courses
        .flat_map(|course| course.tally.failures().by_count().into_iter().next())
        .max_by_key(|(_, failure)| failure.count)
        .map_or_else(String::new, |(kind, _)| kind.as_str().to_owned());
    let hint = hint_for(&problem);
    ToolError::Unreachable { base: plan.base.as_str().trim_end_matches('/').to_owned(), problem, hint }
}

/// A breach in one line.
pub(super) fn observed(check: &Check) -> String {
    format!("{}: {}, observed {}", check.subject, check.condition, check.observed)
}

fn read_baseline(path: &Path, plan: &LoadPlan) -> Result<RunResult, ToolError> {
    let baseline = read_result(path)?;
    check_comparable(&baseline.load, &LoadResult::new(plan.model))?;
    if let Some(known) = known_endpoints(&plan.actors) {
        let old: Vec<String> = baseline.endpoints.iter().map(EndpointResult::name).collect();
        if !known.iter().any(|name| old.contains(&name.to_string())) {
            return Err(CompareError::NoCommonEndpoint.into());
        }
    }
    Ok(baseline)
}

pub(super) fn server_client(options: &ServerOptions, plan: &LoadPlan) -> Option<ServerClient> {
    if options.no_server {
        return None;
    }
    let base = options.monitor_url.as_ref().unwrap_or(&plan.base);
    let same_origin = base.origin() == plan.base.origin();
    let credentials = if same_origin { Credentials::Headers(plan.headers.clone()) } else { Credentials::Withheld };
    let accept_invalid_certs = plan.client.accept_invalid_certs;
    ServerClient::new(base, ClientOptions { credentials, timeout: DEFAULT_TIMEOUT, accept_invalid_certs })
}

/// Why the service's side is missing or incomplete, if it refused to tell it.
pub(super) fn refusal(server: Option<&ServerClient>) -> Option<String> {
    let silence = server?.take_error()?;
    matches!(silence, ServiceError::Refused { .. }).then(|| silence.to_string())
}

fn comparison_checks(comparison: &Comparison) -> Vec<Check> {
    if let Err(why) = check_conclusive(comparison) {
        // As with a threshold for nothing: what was asked for has not been shown.
        return vec![Check {
            source: CheckSource::Baseline,
            subject: "baseline".to_owned(),
            condition: "something can be compared".to_owned(),
            observed: why.to_string(),
            status: CheckStatus::Breached,
        }];
    }
    let judged = comparison.changes.iter().filter(|change| change.direction != Direction::TooLittleData);
    judged
        .map(|change| Check {
            source: CheckSource::Baseline,
            subject: change.endpoint.clone(),
            condition: format!("{} not worse than {}", change.measure, change.show(change.old)),
            observed: format!(
                "{}{}",
                change.show(change.new),
                change.change_percent.map_or_else(String::new, |percent| format!(" ({percent:+.1} %)"))
            ),
            status: if change.direction == Direction::Worse { CheckStatus::Breached } else { CheckStatus::Passed },
        })
        .collect()
}
