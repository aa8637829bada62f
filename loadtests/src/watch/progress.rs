//! Live progress: a block that is redrawn in a terminal, a line every few seconds elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::cli::Progress;
use crate::engine::Arrivals;
use crate::record::{EndpointTally, Interval, Tally};
use crate::span::show_seconds;

/// What is shown of a run at one moment.
#[derive(Debug)]
pub(crate) struct ProgressView<'a> {
    /// How far it is.
    pub(crate) elapsed: Duration,
    /// How long it will be.
    pub(crate) planned: Option<Duration>,
    /// Users, or iterations in flight.
    pub(crate) active: usize,
    /// Whether users or a rate drive it.
    pub(crate) arrivals: Option<Arrivals>,
    /// Since the last look.
    pub(crate) interval: &'a Interval,
    /// Length of that.
    pub(crate) span: f64,
    /// Since the start.
    pub(crate) tally: &'a Tally,
    /// What the server says, in a line.
    pub(crate) server: Option<String>,
}

/// Where progress is drawn.
#[derive(Debug)]
pub(crate) struct Screen {
    kind: Kind,
    drawn_lines: usize,
    last_line: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Block,
    Lines,
    Nothing,
}

impl Screen {
    /// Standard error, drawn as asked.
    pub(crate) fn new(progress: Progress, quiet: bool) -> Self {
        let kind = match progress {
            _ if quiet => Kind::Nothing,
            Progress::Off => Kind::Nothing,
            Progress::Lines => Kind::Lines,
            Progress::Auto if std::io::stderr().is_terminal() => Kind::Block,
            Progress::Auto => Kind::Lines,
        };
        Self { kind, drawn_lines: 0, last_line: None }
    }

    /// Shows the state of a run.
    pub(crate) fn show(&mut self, view: &ProgressView<'_>) {
        match self.kind {
            Kind::Nothing => {}
            Kind::Lines => {
                let due = self.last_line.is_none_or(|last| last.elapsed() >= BETWEEN_LINES);
                if due {
                    self.last_line = Some(Instant::now());
                    self.write(&format!("{}\n", line(view)));
                }
            }
            Kind::Block => {
                let text = block(view);
                let erase = self.erasure();
                self.drawn_lines = text.lines().count();
                self.write(&format!("{erase}{text}"));
            }
        }
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        if self.kind != Kind::Nothing {
            let erase = self.erasure();
            self.drawn_lines = 0;
            self.write(&format!("{erase}{text}\n"));
        }
    }

    /// Takes the block away, to make room for the result.
    pub(crate) fn clear(&mut self) {
        let erase = self.erasure();
        self.drawn_lines = 0;
        self.write(&erase);
    }

    fn erasure(&self) -> String {
        if self.drawn_lines == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn_lines) }
    }

    fn write(&self, text: &str) {
        // A closed terminal is no reason to end a test.
        _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

fn line(view: &ProgressView<'_>) -> String {
    let now = &view.interval.overall;
    let ranked = now.ranked();
    let quantile = |q| ranked.quantile_seconds(q).map_or_else(|| "-".to_owned(), show_seconds);
    let mut line = format!(
        "{:>6} {} {:>4}  {:>8.1} req/s  p50 {:>8}  p95 {:>8}  p99 {:>8}  errors {} of {}",
        clock(view.elapsed),
        if view.arrivals.is_some() { "in flight" } else { "users" },
        view.active,
        now.count() as f64 / view.span.max(1e-3),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        view.tally.total().failed(),
        view.tally.total().count(),
    );
    if let Some(arrivals) = view.arrivals {
        line.push_str(&format!("  late {}  dropped {}", arrivals.late, arrivals.dropped));
    }
    if let Some(planned) = view.planned {
        line.push_str(&format!("  left {}", clock(planned.saturating_sub(view.elapsed))));
    }
    if let Some(server) = &view.server {
        line.push_str(&format!("  | {server}"));
    }
    line
}

fn block(view: &ProgressView<'_>) -> String {
    let mut text = String::new();
    if let Some(planned) = view.planned.filter(|planned| !planned.is_zero()) {
        let done = (view.elapsed.as_secs_f64() / planned.as_secs_f64()).min(1.0);
        let filled = (done * BAR as f64) as usize;
        text.push_str(&format!("[{}{}] ", "#".repeat(filled), "-".repeat(BAR - filled)));
    }
    text.push_str(&line(view));
    text.push('\n');
    text.push_str(&format!(
        "  {:<40} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "endpoint, now", "req/s", "p50", "p95", "p99", "errors"
    ));
    let mut parts: Vec<_> = view.interval.endpoints.iter().collect();
    parts.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count()));
    let hidden = parts.len().saturating_sub(MOST_ROWS);
    parts.truncate(MOST_ROWS);
    // In an order that does not change from one second to the next.
    parts.sort_by_key(|(id, _)| *id);
    let rows: Vec<(String, &EndpointTally)> = parts
        .into_iter()
        .filter_map(|(id, tally)| Some((view.tally.endpoints().get(id.index())?.name.to_string(), tally)))
        .collect();
    for (name, tally) in &rows {
        let ranked = tally.ranked();
        let quantile = |q| ranked.quantile_seconds(q).map_or_else(|| "-".to_owned(), show_seconds);
        text.push_str(&format!(
            "  {:<40} {:>9.1} {:>9} {:>9} {:>9} {:>9}\n",
            shorten(name, 40),
            tally.count() as f64 / view.span.max(1e-3),
            quantile(0.5),
            quantile(0.95),
            quantile(0.99),
            tally.failed(),
        ));
    }
    if hidden > 0 {
        text.push_str(&format!("  … and {hidden} more\n"));
    }
    text
}

/// A text of at most `most` characters, with an ellipsis in the place of what is left out.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    if seconds >= 3600 {
        format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60)
    } else if seconds >= 60 {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

const BETWEEN_LINES: Duration = Duration::from_millis(4_900);
const BAR: usize = 20;
const MOST_ROWS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_by_characters() {
        assert_eq!(shorten("GET /käse", 9), "GET /käse");
        assert_eq!(shorten("GET /käsekuchen", 9), "GET /käs…");
    }

    #[test]
    fn clock_is_read_at_a_glance() {
        let shown: Vec<String> = [5, 65, 3700].map(|s| clock(Duration::from_secs(s))).into();
        assert_eq!(shown, ["5s", "1m05s", "1h01m"]);
    }
}
