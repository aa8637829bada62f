//! `check`: reads scenario files without sending anything.

use std::path::{Path, PathBuf};

use super::{error::ToolError, print::print};
use crate::{
    plan::PlanError,
    scenario::{Flow, Step, load_scenarios},
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
        text.extend(added_up(file, &flows));
    }
    print(&text);
    Ok(Conclusion::Passed)
}

fn describe(flow: &Flow) -> String {
    let steps = flow.steps.all().len();
    let plural = if steps == 1 { "" } else { "s" };
    format!("  {} (weight {}): {steps} step{plural}\n", flow.name, flow.weight)
}

/// Returns a warning for each step that is counted together with steps of the same file that have another path, because it
/// or they are named so. That may be meant: one name for many pages is a use of names.
fn added_up(file: &Path, flows: &[Flow]) -> Vec<String> {
    let steps: Vec<&Step> = flows.iter().flat_map(|flow| flow.start.iter().chain(flow.steps.all())).collect();
    let mut warnings = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let Some(other) = steps[..index]
            .iter()
            .find(|other| (&other.method, &other.name) == (&step.method, &step.name) && other.route != step.route)
        else {
            continue;
        };
        let Some(line) = step.named_at.or(other.named_at) else { continue };
        let (file, name) = (file.display(), format!("{} {}", step.method, step.name));
        let [first, second] = [&other.route, &step.route];
        warnings.push(format!(
            "{file}:{line}: warning: {first} and {second} are both counted as \"{name}\", so that their numbers are added up; \
             give each a name of its own to tell them apart\n"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(steps: &str, expected: &[&str]) {
        let text = format!("scenarios:\n  - name: a\n    steps:\n{steps}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.yaml");
        std::fs::write(&file, text).unwrap();
        let flows = load_scenarios(&file).unwrap();
        let found = added_up(Path::new("f.yaml"), &flows);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (warning, expected) in found.iter().zip(expected) {
            assert!(warning.starts_with(expected), "{warning}");
        }
    }

    #[test]
    fn one_name_on_two_paths_is_warned_of() {
        const BOTH: &str = "f.yaml:7: warning: /x and /y are both counted as \"GET n\"";
        check("      - get: /x\n        name: n\n      - get: /y\n        name: n\n", &[BOTH]);
        let plain = "f.yaml:5: warning: /x and /y are both counted as \"GET /y\"";
        check("      - get: /x\n        name: /y\n      - get: /y\n", &[plain]);
        check("      - get: /x\n        name: n\n      - post: /y\n        name: n\n", &[]);
        check("      - get: /x\n        name: n\n      - get: /x?q=1\n        name: n\n", &[]);
        check("      - get: /x\n        name: n\n      - get: /y\n        name: m\n", &[]);
    }
}
