//! The text in the terminal: blocks as plain lines, and the verdict that ends a run.

use super::{block::Block, document, sections};
use crate::{
    printable::printable_line,
    result::{Comparison, RunResult},
};

/// Recommendations that are shown of one bottleneck; the page has all.
const MOST_ADVICE: usize = 2;

/// Returns the result as text, without the verdict.
pub(crate) fn render_result(result: &RunResult) -> String {
    write(&document::terminal(result))
}

/// Returns a comparison as text.
pub(crate) fn render_comparison(comparison: &Comparison) -> String {
    write(&sections::comparison(comparison).into_iter().map(Block::printable).collect::<Vec<_>>())
}

/// Returns the last lines of a run: each condition, and whether the run passed.
pub(crate) fn render_verdict(result: &RunResult) -> String {
    let verdict = &result.verdict;
    let mut text = String::from("\n");
    for check in &verdict.checks {
        let mark = match check.status.as_str() {
            "passed" => "ok  ",
            "noted" => "note",
            _ => "FAIL",
        };
        let condition = sections::condition(check);
        let line = printable_line(&format!("{}: {condition}; observed {}", check.subject, check.observed));
        text.push_str(&format!("{mark}  {line}\n"));
    }
    if let Some(reason) = &result.generator.reason {
        let advice = if result.generator.machine_busy {
            "end the other programs, or run it on another machine than the service"
        } else {
            "use fewer users, a lower rate, a release build or another machine"
        };
        text.push_str(&format!(
            "The generator was saturated: {reason}. What is measured is the generator as much as the service; {advice}.\n"
        ));
    }
    let line = match verdict.conclusion.as_str() {
        "passed" if result.generator.saturated => "PASSED, although the generator was saturated",
        "passed" => "PASSED",
        "breached" => "BREACHED",
        "generator saturated" => "GENERATOR SATURATED",
        "interrupted" if result.is_unmeasured() => "INTERRUPTED in the warm-up: nothing was measured",
        "interrupted" => "INTERRUPTED: the result covers the time until then",
        _ => "SET-UP ERROR",
    };
    text.push_str(line);
    text.push('\n');
    text
}

fn write(blocks: &[Block]) -> String {
    let mut text = String::new();
    let mut before: Option<&Block> = None;
    for block in blocks {
        match block {
            Block::Title(title, _) => text.push_str(&format!("\n{title}\n")),
            Block::Heading(heading) => text.push_str(&format!("\n{heading}\n")),
            Block::Text(line) | Block::Warning(line) | Block::Note(line) => {
                // Sentences that follow one another are one paragraph; a heading belongs to what it names.
                let continues =
                    matches!(before, Some(Block::Heading(_) | Block::Text(_) | Block::Warning(_) | Block::Note(_)));
                text.push_str(if continues { "" } else { "\n" });
                text.push_str(&format!("{line}\n"));
            }
            Block::Table(table) => text.push_str(&table.text()),
            Block::Finding(finding) => {
                text.push_str(&format!("  {} ({}): {}\n", finding.name, finding.detail, finding.text));
                for advice in finding.advice.iter().take(MOST_ADVICE) {
                    text.push_str(&format!("      {advice}\n"));
                }
            }
            Block::Tiles(_) | Block::Plots(..) => continue,
        }
        before = Some(block);
    }
    text
}
