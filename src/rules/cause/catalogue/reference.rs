//! `docs/causes.md`: the catalogue of causes as Markdown.

use std::fmt::Write as _;

use super::{Entry, GROUPS, entry};

/// What docs/causes.md begins with.
const INTRODUCTION: &str = "\
# Causes

<!-- Generated: cargo run -- causes reference > docs/causes.md -->

Every finding names its cause where the measurements give one: `cause: { kind, title, because, confidence, or }` in
`/performance/bottlenecks`, and first in the report. It is a differential diagnosis: the signature of each possible cause is
compared with what was measured, and each cause with its neighbours by the one measurement that tells them apart. A measurement
that was not taken speaks for no cause and against none. Where two causes remain, the finding names both (`or`), is `possible`,
and says what to measure.

- `certain`: the cause itself was measured.
- `likely`: the measurements fit it and contradict its neighbours.
- `possible`: others explain the measurements as well.

A condition of a rule may ask for the word: `if: \"cause == computing\"` (see [rules.md](rules.md)). It holds only where the cause
is decided; `cause != computing` holds where computing is neither the cause nor one of those that remain.
";

/// Returns the whole document.
pub(in crate::rules::cause) fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    out += "\n| cause | meaning |\n|---|---|\n";
    for entry in GROUPS.iter().flat_map(|(_, entries)| entries.iter()) {
        let _ = writeln!(out, "| [`{0}`](#{0}) | {1} |", entry.kind, entry.title);
    }
    for (title, entries) in GROUPS {
        let _ = write!(out, "\n## {title}\n");
        entries.iter().for_each(|entry| section(&mut out, entry));
    }
    out
}

fn section(out: &mut String, one: &Entry) {
    let _ = write!(out, "\n### {}\n\n{}.\n\n", one.kind, plain(&capitalised(one.title)));
    let _ = writeln!(out, "- Signature: {}.", plain(one.signature));
    let _ = writeln!(out, "- How sure: {}.", plain(one.certainty));
    if let Some(design) = one.by_design {
        let _ = writeln!(out, "- May be by design: {}.", plain(design));
    }
    if let Some(severity) = one.at_most {
        let _ = writeln!(out, "- Severity: {severity} at most.");
    }
    if !one.neighbours.is_empty() {
        out.push_str("\n| looks like | told apart by |\n|---|---|\n");
        for (kind, difference) in one.neighbours {
            let _ = writeln!(out, "| [{}](#{kind}) | {} |", plain(entry(*kind).title), plain(difference));
        }
        let _ = write!(out, "\nWhere they cannot be told apart, both are said, and: {}.\n", plain(one.undecided));
    }
    out.push_str("\nWhat to do:\n\n");
    for forms in one.advice {
        if let Some(form) = forms.first() {
            let _ = writeln!(out, "- {}", plain(form));
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Escapes what a sentence has that Markdown would read as mark-up.
fn plain(text: &str) -> String {
    text.replace('_', "\\_").replace('*', "\\*").replace('<', "&lt;").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_of_causes_is_current() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/causes.md");
        let current = std::fs::read_to_string(path).unwrap_or_default();
        assert!(current == markdown(), "run: cargo run -- causes reference > docs/causes.md");
    }
}
