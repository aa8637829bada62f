//! `.html`: the result as a page with plots. It loads nothing: no script, no font, no style sheet.

use super::{
    block::{Block, Finding},
    document,
    escape::escape,
    table::{Align, Cell, Table, Tone},
};
use crate::result::RunResult;

const STYLE: &str = "
:root{--text:#111;--muted:#555;--line:#ddd;--grid:#e5e5e5;--ok:#15803d;--bad:#b91c1c;--paper:#fff}
@media(prefers-color-scheme:dark){
  :root{--text:#e6e6e6;--muted:#999;--line:#2c3038;--grid:#2c3038;--ok:#4ade80;--bad:#f87171;--paper:#14161a}
}
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:var(--text);
  background:var(--paper)}
h1,h2,h3{line-height:1.2}
p,h1{overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th.n,td.n{text-align:right}
td.n,td:first-child{white-space:nowrap}
td.n{font-variant-numeric:tabular-nums}
td.i{padding-left:1.6rem}
svg{width:100%;min-width:34rem;height:auto}
svg text{font:11px system-ui,sans-serif;fill:var(--muted)}
svg text.t{font-weight:600}
svg .g{stroke:var(--grid)}
svg .o{fill:#dc2626;opacity:.15}
svg .m{stroke:var(--muted);stroke-dasharray:4 3}
.ok{color:var(--ok)}
.bad{color:var(--bad)}
.s,small{color:var(--muted)}
small{font-weight:400}
";

/// Returns the result as a page.
pub(super) fn render(result: &RunResult) -> String {
    let mut body = String::new();
    document::page(result).iter().for_each(|block| push(&mut body, block));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"/><title>Load test of {}</title><style>{STYLE}</style></head>\n\
         <body>\n{body}</body></html>\n",
        escape(&result.target)
    )
}

fn push(body: &mut String, block: &Block) {
    match block {
        Block::Title(title, tone) => {
            let (class, title) = (class(*tone), escape(title));
            body.push_str(&format!("<h1>Load test: <span class=\"{class}\">{title}</span></h1>\n"));
        }
        Block::Heading(heading) => body.push_str(&format!("<h2>{}</h2>\n", escape(heading))),
        Block::Text(line) => body.push_str(&format!("<p>{}</p>\n", escape(line))),
        Block::Warning(line) => body.push_str(&format!("<p class=\"bad\">{}</p>\n", escape(line))),
        Block::Note(line) => body.push_str(&format!("<p class=\"s\">{}</p>\n", escape(line))),
        Block::Table(table) => push_table(body, table),
        Block::Finding(finding) => push_finding(body, finding),
        Block::Plots(heading, plots) => {
            if let Some(heading) = heading {
                body.push_str(&format!("<h2>{}</h2>\n", escape(heading)));
            }
            for plot in plots {
                body.push_str(&format!("<div class=\"scroll\">{}</div>\n", plot.render()));
            }
        }
    }
}

fn push_table(body: &mut String, table: &Table) {
    body.push_str("<div class=\"scroll\"><table><tr>");
    for head in &table.heads {
        let class = if head.align == Align::Right { " class=\"n\"" } else { "" };
        body.push_str(&format!("<th{class}>{}</th>", escape(head.name)));
    }
    body.push_str("</tr>\n");
    for row in &table.rows {
        body.push_str("<tr>");
        for (cell, head) in row.iter().zip(&table.heads) {
            push_cell(body, cell, head.align);
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table></div>\n");
}

fn push_cell(body: &mut String, cell: &Cell, align: Align) {
    let number = if align == Align::Right { "n" } else { "" };
    let indented = if cell.is_part { "i" } else { "" };
    let classes: Vec<&str> =
        [number, indented, class(cell.tone)].into_iter().filter(|class| !class.is_empty()).collect();
    let attribute = if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.join(" ")) };
    body.push_str(&format!("<td{attribute}>{}</td>", escape(&cell.text)));
}

fn push_finding(body: &mut String, finding: &Finding) {
    let (name, detail, text) = (escape(&finding.name), escape(&finding.detail), escape(&finding.text));
    body.push_str(&format!("<h3>{name} <small>{detail}</small></h3><p>{text}</p>"));
    let advice: String = finding.advice.iter().map(|advice| format!("<li>{}</li>", escape(advice))).collect();
    if !advice.is_empty() {
        body.push_str(&format!("<ul>{advice}</ul>"));
    }
    body.push('\n');
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "",
        Tone::Good => "ok",
        Tone::Bad => "bad",
    }
}
