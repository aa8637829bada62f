//! `pinchpoint rules suggest`: thresholds that follow from what a service measured, as a diff.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use pinchpoint::{
    RuleSet,
    replay::{StoredHistory, SuggestionOptions},
};

use super::{
    RulesError,
    replay::{ReplayError, check_ids},
    write,
};
use crate::args::SuggestArgs;

/// Writes the diff to `out` or to the file that the command names, and what it rests on to standard error. Changes no rule file.
pub(super) fn run(args: &SuggestArgs, out: &mut impl Write) -> Result<(), RulesError> {
    let files = match &args.rules[..] {
        [] if Path::new("rules").is_dir() => vec![PathBuf::from("rules")],
        [] => return Err(RulesError::NoRules),
        files => files.to_vec(),
    };
    check_ids(&args.rule, std::iter::once(&RuleSet::check_files(&files)?), "--rules")?;
    let path = &args.history;
    let history = StoredHistory::read(path).map_err(|source| ReplayError::History { path: path.clone(), source })?;
    let options = SuggestionOptions { rules: args.rule.clone(), percentile: args.percentile };
    let suggestions = history.suggest(&files, &options)?;
    let mut said = String::new();
    for (rule, reason) in &suggestions.left_out {
        said += &format!("warning: {rule} is left out: {reason}\n");
    }
    let patch = suggestions.patch();
    said += &match suggestions.all.len() {
        0 => "nothing to suggest: too little is stored, or the thresholds fit what it is\n".to_owned(),
        1 => format!("1 threshold suggested; read it before you apply it: {patch} < FILE\n"),
        count => format!("{count} thresholds suggested; read them before you apply them: {patch} < FILE\n"),
    };
    let diff = suggestions.diff;
    // Standard output is the diff. Where standard error is closed, the diff is all that there is.
    let _ = write!(io::stderr(), "{said}");
    // An empty diff on standard output would be an empty line.
    if args.output.is_none() && diff.is_empty() { Ok(()) } else { write(&diff, args.output.as_deref(), out) }
}
