//! `.html`: the result as a page with plots, made of the same parts as the report of the service.
//!
//! It loads nothing: no script, no font, no style sheet. Invariant: what services and files say is text, never markup, since
//! [`Html`] is the only way in.

use pinchpoint::markup::{Html, STYLE, Tone};

use super::{
    block::{Block, Finding},
    document,
    plots::Plot,
};
use crate::result::RunResult;

/// Returns the result as a page.
pub(super) fn render(result: &RunResult) -> String {
    let mut page = Page::default();
    page.html
        .raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Load test of ")
        .text(&result.target)
        .raw("</title><style>\n")
        .raw(STYLE)
        .raw("</style></head>\n<body><main>\n");
    document::page(result).iter().for_each(|block| page.push(block));
    page.close();
    page.html.raw("</main></body></html>\n");
    page.html.finish()
}

/// The page being written.
#[derive(Default)]
struct Page {
    html: Html,
    /// The last heading, which names the tables below it.
    heading: String,
    is_card_open: bool,
}

impl Page {
    fn push(&mut self, block: &Block) {
        match block {
            Block::Title(title, tone) => {
                self.html.raw("<header><h1>Load test</h1>");
                self.html.badge(if *tone == Tone::Neutral { "low" } else { tone.class() }, title).raw("</header>\n");
            }
            Block::Tiles(table) => {
                self.close();
                table.tiles(&mut self.html);
            }
            Block::Heading(heading) => {
                self.close();
                self.html.element("<h2>", heading, "</h2>\n");
                self.heading.clone_from(heading);
            }
            Block::Text(line) => _ = self.card().element("<p>", line, "</p>\n"),
            Block::Warning(line) => _ = self.card().element("<p class=\"bad\">", line, "</p>\n"),
            Block::Note(line) => _ = self.card().element("<p class=\"small muted\">", line, "</p>\n"),
            Block::Table(table) => {
                let about = if self.heading.is_empty() { "Conditions" } else { &self.heading }.to_owned();
                table.html(self.card(), &about);
            }
            Block::Finding(finding) => {
                self.close();
                write_finding(&mut self.html, finding);
            }
            Block::Plots(heading, plots) => {
                if let Some(heading) = heading {
                    self.close();
                    self.html.element("<h2>", heading, "</h2>\n");
                    self.heading.clone_from(heading);
                }
                self.plots(plots);
            }
        }
    }

    fn plots(&mut self, plots: &[Plot]) {
        let mut charts = plots.iter().filter_map(Plot::chart).peekable();
        if charts.peek().is_none() {
            return;
        }
        let html = self.card();
        html.raw("<div class=\"charts\">");
        charts.for_each(|chart| chart.html(html));
        html.raw("</div>\n");
    }

    /// The page inside of a card, which begins here if none is open.
    fn card(&mut self) -> &mut Html {
        if !self.is_card_open {
            self.html.raw("<div class=\"card\">\n");
            self.is_card_open = true;
        }
        &mut self.html
    }

    fn close(&mut self) {
        if self.is_card_open {
            self.html.raw("</div>\n");
            self.is_card_open = false;
        }
    }
}

fn write_finding(html: &mut Html, finding: &Finding) {
    html.raw("<article class=\"card finding is-").text(&finding.severity).raw("\">");
    html.element("<h3>", &finding.name, "</h3><p class=\"small muted\">").text(&finding.detail).raw("</p>");
    html.element("<p>", &finding.text, "</p>").list(&finding.advice).raw("</article>\n");
}
