//! `pinchpoint rules suggest`: thresholds that follow from what a service measured, as a diff.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use pinchpoint::replay::{StoredHistory, SuggestionOptions, Suggestions};

use super::{RulesError, replay::ReplayError, write};
use crate::args::SuggestArgs;

/// Writes the diff to `out` or to the file that the command names, and what it rests on to standard error. Changes no rule file.
pub(super) fn run(args: &SuggestArgs, out: &mut impl Write) -> Result<(), RulesError> {
    let files = match &args.rules[..] {
        [] if Path::new("rules").is_dir() => vec![PathBuf::from("rules")],
        [] => return Err(RulesError::NoRules),
        files => files.to_vec(),
    };
    let path = &args.history;
    let history = StoredHistory::read(path).map_err(|source| ReplayError::History { path: path.clone(), source })?;
    let options = SuggestionOptions { rules: args.rule.clone(), percentile: args.percentile };
    let Suggestions { all, diff, left_out } = history.suggest(&files, &options)?;
    let mut said = String::new();
    for (rule, reason) in left_out {
        said += &format!("warning: {rule} is left out: {reason}\n");
    }
    said += &match all.len() {
        0 => "nothing to suggest: too little is stored, or the thresholds fit what it is\n".to_owned(),
        1 => "1 threshold suggested; read it before you apply it: patch -p0 < FILE\n".to_owned(),
        count => format!("{count} thresholds suggested; read them before you apply them: patch -p0 < FILE\n"),
    };
    // Standard output is the diff. Where standard error is closed, the diff is all that there is.
    let _ = write!(io::stderr(), "{said}");
    // An empty diff on standard output would be an empty line.
    if args.output.is_none() && diff.is_empty() { Ok(()) } else { write(&diff, args.output.as_deref(), out) }
}
