//! `profile`: measures one endpoint, one request after another.

use super::{
    error::ToolError, judge::Judge, preflight::preflight, publish::MeasuredRun, server_observer::ServerObserver,
    session::Session,
};
use crate::{
    cli::ProfileArgs,
    engine::Actor,
    interrupt::Interrupt,
    plan::profile_plan,
    report::{check_writable, render_result},
    result::Profile,
    verdict::Conclusion,
    watch::Screen,
};

/// Profiles an endpoint and returns the conclusion.
pub(crate) async fn run_profile(
    arguments: &ProfileArgs,
    code: &[Actor],
    interrupt: &Interrupt,
) -> Result<Conclusion, ToolError> {
    let plan = profile_plan(&arguments.target, &arguments.requests, code)?;
    let judge = Judge::new(&arguments.verdict, &plan)?;
    check_writable(&arguments.output.outputs)?;
    preflight(&plan.base, plan.timeout).await?;
    let mut screen = Screen::new(arguments.output.progress, arguments.output.quiet);
    let mut observer = ServerObserver::new(&arguments.server, &plan);
    observer.start().await;
    let session = Session::run_sequentially(&plan, interrupt, &mut screen, &arguments.profile).await?;
    let mut run = MeasuredRun::new("profile", &plan, session, &judge);
    run.result.profile = Some(Profile::new(&run.session.tally.total().ranked(), run.result.warm_up_requests));
    run.result.server = observer.finish(&run.session.tally).await;
    run.publish(&judge, &observer, &arguments.output, render_result)
}
