//! `check`: reads scenario files without sending anything.

use std::path::PathBuf;

use super::{error::ToolError, print::print};
use crate::{
    plan::PlanError,
    scenario::{Flow, load_scenarios},
    verdict::Conclusion,
};

/// Reads scenario files and prints what is in them.
///
/// # Errors
/// Fails at the first file with a mistake, and then prints nothing; the error lists every mistake of that file.
pub(crate) fn check_files(files: &[PathBuf]) -> Result<Conclusion, ToolError> {
    let mut text = String::new();
    for file in files {
        let flows = load_scenarios(file).map_err(PlanError::from)?;
        text.push_str(&format!("{}: good\n", file.display()));
        text.extend(flows.iter().map(describe));
    }
    print(&text);
    Ok(Conclusion::Passed)
}

fn describe(flow: &Flow) -> String {
    let steps = flow.steps.all().len();
    let plural = if steps == 1 { "" } else { "s" };
    format!("  {} (weight {}): {steps} step{plural}\n", flow.name, flow.weight)
}
