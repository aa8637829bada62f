//! `.md`: the result as text with tables, to be pasted into a pull request.

use pinchpoint::markup::{Align, Cell, Table, Tone};

use super::{block::Block, document, escape::escape_markdown};
use crate::result::RunResult;

/// Returns the result as Markdown.
pub(super) fn render(result: &RunResult) -> String {
    let blocks = document::page(result);
    let texts = blocks.iter().map(write).filter(|text| !text.is_empty());
    texts.collect::<Vec<String>>().join("\n")
}

/// Returns a block with the end of its last line; nothing for plots.
fn write(block: &Block) -> String {
    let text = |text: &str| escape_markdown(text);
    match block {
        Block::Title(title, _) => format!("# Load test: {}\n", text(title)),
        Block::Heading(heading) => format!("## {}\n", text(heading)),
        Block::Text(line) | Block::Note(line) => format!("{}\n", text(line)),
        Block::Warning(line) => format!("**{}**\n", text(line)),
        Block::Table(table) => write_table(table),
        Block::Finding(finding) => {
            let advice: String = finding.advice.iter().map(|advice| format!("- {}\n", text(advice))).collect();
            format!("**{}** ({}) {}\n{advice}", text(&finding.name), text(&finding.detail), text(&finding.text))
        }
        Block::Tiles(_) | Block::Plots(..) => String::new(),
    }
}

fn write_table(table: &Table) -> String {
    let heads: String = table.columns().map(|(name, _)| format!(" {name} |")).collect();
    let rules = table.columns().map(|(_, align)| match align {
        Align::Left => "---|",
        Align::Right => "--:|",
    });
    let rules: String = rules.collect();
    let row = |row: &Vec<Cell>| format!("|{}\n", row.iter().map(|one| format!(" {} |", cell(one))).collect::<String>());
    let rows: String = table.rows().iter().map(row).collect();
    format!("|{heads}\n|{rules}\n{rows}")
}

fn cell(cell: &Cell) -> String {
    let text = escape_markdown(cell.text());
    match cell.tone() {
        Tone::Bad if !text.is_empty() => format!("**{text}**"),
        // Markdown drops leading blanks.
        Tone::Neutral | Tone::Good | Tone::Bad if cell.is_part() => format!("&emsp;{text}"),
        Tone::Neutral | Tone::Good | Tone::Bad => text,
    }
}
