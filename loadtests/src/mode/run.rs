//! `run`: sends load, then shows tables and a verdict; with `--find-capacity`, searches the highest load that passes.

use super::{
    baseline::Baseline,
    capacity::{CapacitySearch, SearchOutcome},
    error::ToolError,
    judge::Judge,
    preflight::preflight,
    publish::MeasuredRun,
    server_observer::ServerObserver,
    session::Session,
};
use crate::{
    cli::LoadTestArgs,
    engine::{Actor, LoadPlan, StopReason},
    interrupt::Interrupt,
    plan::load_plan,
    report::{check_writable, render_result},
    result::SearchEnd,
    verdict::{Check, CheckSource, CheckStatus, Conclusion},
    watch::Screen,
};

/// The mode's name in the result.
const MODE: &str = "load-test";

/// Runs a load test and returns its conclusion.
///
/// Whatever can be wrong about the arguments is found before the first request.
pub(crate) async fn run_load_test(
    arguments: &LoadTestArgs,
    code: &[Actor],
    interrupt: &Interrupt,
) -> Result<Conclusion, ToolError> {
    let plan = load_plan(arguments, code)?;
    let judge = Judge::new(&arguments.verdict, &plan)?;
    let baseline = arguments.baseline.baseline.as_deref().map(|path| Baseline::read(path, &plan)).transpose()?;
    check_writable(&arguments.output.outputs)?;
    preflight(&plan.base, plan.timeout).await?;
    let mut screen = Screen::new(arguments.output.progress, arguments.output.quiet);
    let mut observer = ServerObserver::new(&arguments.server, &plan);
    let mut run = if arguments.capacity.find_capacity {
        let most = arguments.capacity.max_load;
        find_capacity(&plan, &judge, most, interrupt, &observer, &mut screen).await?
    } else {
        send_load(&plan, &judge, interrupt, &mut observer, &mut screen).await?
    };
    if let Some(baseline) = &baseline {
        let (comparison, checks) = baseline.compare(&run.result);
        run.checks.extend(checks);
        run.result.comparison = Some(comparison);
    }
    run.publish(&judge, &observer, &arguments.output, render_result)
}

async fn send_load(
    plan: &LoadPlan,
    judge: &Judge,
    interrupt: &Interrupt,
    observer: &mut ServerObserver,
    screen: &mut Screen,
) -> Result<MeasuredRun, ToolError> {
    observer.start().await;
    let session = Session::run(plan, interrupt, screen, || observer.line()).await?;
    let mut run = MeasuredRun::new(MODE, plan, session, judge);
    run.result.server = observer.finish(&run.session.tally).await;
    Ok(run)
}

async fn find_capacity(
    plan: &LoadPlan,
    judge: &Judge,
    most: usize,
    interrupt: &Interrupt,
    observer: &ServerObserver,
    screen: &mut Screen,
) -> Result<MeasuredRun, ToolError> {
    let search = CapacitySearch { plan, judge, most, interrupt, server: observer.client() };
    let SearchOutcome { capacity, session, plan } = search.run(screen).await?;
    let mut run = MeasuredRun::new(MODE, &plan, session, judge);
    if capacity.ended == SearchEnd::Interrupted {
        run.reason = StopReason::Interrupted;
    }
    let breached = run.checks.iter().any(|check| check.status == CheckStatus::Breached);
    if run.reason == StopReason::Finished && capacity.capacity.is_none() && !breached {
        // Without a confirmed load the search has failed, even if the run that is shown has passed.
        run.checks.push(Check {
            source: CheckSource::Always,
            subject: "capacity".to_owned(),
            condition: "some load is confirmed".to_owned(),
            observed: capacity.describe(),
            status: CheckStatus::Breached,
        });
    }
    run.result.capacity = Some(capacity);
    Ok(run)
}
