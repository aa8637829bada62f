//! `profile`: measures one endpoint, one request after another.

use super::error::ToolError;
use super::judge::Judge;
use super::preflight::preflight;
use super::publish::MeasuredRun;
use super::server_observer::ServerObserver;
use super::session::Session;
use crate::cli::ProfileArgs;
use crate::engine::Actor;
use crate::interrupt::Interrupt;
use crate::plan::profile_plan;
use crate::report::{check_writable, render_result};
use crate::result::Profile;
use crate::verdict::Conclusion;
use crate::watch::Screen;

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
