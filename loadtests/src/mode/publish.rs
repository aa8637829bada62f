//! The end of every mode that sends load: a conclusion, tables on the terminal, files and an exit code.
//!
//! A new output format is a module of `report` and a line in `report/write.rs`; nothing changes here.

use super::{error::ToolError, judge::Judge, print::print_beside, server_observer::ServerObserver, session::Session};
use crate::{
    cli::OutputOptions,
    engine::{LoadPlan, StopReason},
    report::{render_verdict, write_outputs},
    result::{ArrivalsResult, GeneratorResult, RunResult, VerdictResult},
    verdict::{Check, Conclusion},
};

/// A finished run with its result and the checks that it was judged by.
#[derive(Debug)]
pub(super) struct MeasuredRun {
    pub(super) session: Session,
    pub(super) result: RunResult,
    pub(super) checks: Vec<Check>,
    /// Why the mode ended. It differs from the session's where a search was interrupted after the run that is shown.
    pub(super) reason: StopReason,
}

impl MeasuredRun {
    /// Judges a session and turns it into a result.
    pub(super) fn new(mode: &str, plan: &LoadPlan, session: Session, judge: &Judge) -> Self {
        let mut result = RunResult::measured(
            mode,
            plan.base.as_str(),
            session.started_at.clone(),
            plan.model,
            session.end,
            &session.tally,
            &session.shared.recorder,
        );
        result.seed = Some(plan.seed.value());
        result.outages = session.outages();
        result.load.warm_up = plan.warm_up.as_secs_f64();
        result.arrivals = session.arrivals().map(ArrivalsResult::from);
        result.generator = GeneratorResult::new(&session.generator, session.tally.total().count());
        let (checks, reason) = (judge.checks(&session), session.end.reason);
        Self { session, result, checks, reason }
    }

    /// Concludes, prints and writes the result; `tables` renders it for the terminal.
    ///
    /// # Errors
    /// Fails where a file cannot be written, and, after everything was shown, where no request got a response.
    pub(super) fn publish(
        mut self,
        judge: &Judge,
        observer: &ServerObserver,
        output: &OutputOptions,
        tables: impl FnOnce(&RunResult) -> String,
    ) -> Result<Conclusion, ToolError> {
        observer.describe_itself(&mut self.result);
        let conclusion = judge.conclude(self.reason, &self.session.generator, &self.checks);
        self.result.verdict = VerdictResult::new(conclusion, &self.checks);
        if !output.quiet {
            print_beside(output, &tables(&self.result));
        }
        print_beside(output, &render_verdict(&self.result));
        write_outputs(&output.outputs, &self.result)?;
        match self.session.end.reason {
            StopReason::Unreachable => Err(self.session.unreachable().into()),
            StopReason::Finished | StopReason::Interrupted => Ok(conclusion),
        }
    }
}
