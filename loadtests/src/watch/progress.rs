//! [`Screen`]: live progress, as a block that is redrawn in a terminal and as a line every few seconds elsewhere.
//!
//! A block is erased by moving the cursor up by its lines. The invariant is therefore that no line is wider than the
//! terminal and the block is not higher: lines that a terminal wraps or scrolls away cannot be erased.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use crate::{
    cli::Progress,
    engine::Arrivals,
    printable::{printable_line, printable_lines},
    record::{EndpointTally, Interval, Tally},
    span::show_seconds,
};

/// Time between two lines where there is no terminal: five seconds, less the jitter of the ticks.
const BETWEEN_LINES: Duration = Duration::from_millis(4_900);
/// Characters of the bar.
const BAR: usize = 20;
/// Endpoints shown in the block.
const MOST_ROWS: usize = 12;

/// The state of a run at one moment.
#[derive(Debug)]
pub(crate) struct ProgressView<'a> {
    /// Time since the load began.
    pub(crate) elapsed: Duration,
    /// Planned length of the run; `None` without a limit of time.
    pub(crate) planned: Option<Duration>,
    /// Active users, or iterations in flight.
    pub(crate) active: usize,
    /// In an open model, what became of the scheduled iterations.
    pub(crate) arrivals: Option<Arrivals>,
    /// For how long nothing has succeeded, if that is an outage.
    pub(crate) outage: Option<Duration>,
    /// The numbers since the last view.
    pub(crate) interval: &'a Interval,
    /// Length of the interval in seconds.
    pub(crate) span: f64,
    /// The numbers since the start.
    pub(crate) tally: &'a Tally,
    /// The state of the server, in a line.
    pub(crate) server: Option<String>,
}

/// Where progress is drawn.
#[derive(Debug)]
pub(crate) struct Screen {
    style: Style,
    drawn_lines: usize,
    last_line: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Block,
    Lines,
    Nothing,
}

impl Screen {
    /// Draws on standard error, in the way that `--progress` asks for.
    pub(crate) fn new(progress: Progress, quiet: bool) -> Self {
        let style = match progress {
            _ if quiet => Style::Nothing,
            Progress::Off => Style::Nothing,
            Progress::Lines => Style::Lines,
            Progress::Auto if std::io::stderr().is_terminal() => Style::Block,
            Progress::Auto => Style::Lines,
        };
        Self { style, drawn_lines: 0, last_line: None }
    }

    /// Shows the state of a run.
    pub(crate) fn show(&mut self, view: &ProgressView<'_>) {
        match self.style {
            Style::Nothing => {}
            Style::Lines => {
                let due = self.last_line.is_none_or(|last| last.elapsed() >= BETWEEN_LINES);
                if due {
                    self.last_line = Some(Instant::now());
                    self.write(&format!("{}\n", line(view)));
                }
            }
            Style::Block => {
                let text = block(view, TerminalSize::of_stderr());
                let erase = self.erasure();
                self.drawn_lines = text.lines().count();
                // Without wrapping, since some characters are wider than one column.
                self.write(&format!("{erase}\x1b[?7l{text}\x1b[?7h"));
            }
        }
    }

    /// Writes a line that stays.
    pub(crate) fn say(&mut self, text: &str) {
        if self.style != Style::Nothing {
            let erase = self.erasure();
            self.drawn_lines = 0;
            self.write(&format!("{erase}{}\n", printable_lines(text)));
        }
    }

    /// Erases the block, to make room for the result.
    pub(crate) fn clear(&mut self) {
        let erase = self.erasure();
        self.drawn_lines = 0;
        self.write(&erase);
    }

    fn erasure(&self) -> String {
        if self.drawn_lines == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn_lines) }
    }

    fn write(&self, text: &str) {
        // A terminal that was closed must not end a test.
        _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// The size of the terminal.
#[derive(Clone, Copy, Debug)]
struct TerminalSize {
    columns: usize,
    rows: usize,
}

impl TerminalSize {
    fn of_stderr() -> Self {
        // Without an answer, the smallest size that is common.
        terminal_size::terminal_size_of(std::io::stderr()).map_or(Self { columns: 80, rows: 24 }, |(width, height)| {
            Self { columns: usize::from(width.0), rows: usize::from(height.0) }
        })
    }
}

/// The parts of the line for the whole run; a narrow terminal breaks the line between them.
fn parts(view: &ProgressView<'_>) -> Vec<String> {
    let now = &view.interval.overall;
    let [p50, p95, p99] = quantiles(now);
    let mut parts = vec![
        format!("{:>6} {} {:>4}", clock(view.elapsed), who(view), view.active),
        format!("{:>8.1} req/s", now.count() as f64 / view.span.max(1e-3)),
        format!("p50 {p50:>8}"),
        format!("p95 {p95:>8}"),
        format!("p99 {p99:>8}"),
        format!("errors {} of {}", view.tally.total().failed(), view.tally.total().count()),
    ];
    if let Some(outage) = view.outage {
        parts.push(format!("no success for {}", clock(outage)));
    }
    if let Some(arrivals) = view.arrivals {
        parts.push(format!("late {}  dropped {}", arrivals.late, arrivals.dropped));
    }
    if let Some(planned) = view.planned {
        parts.push(format!("left {}", clock(planned.saturating_sub(view.elapsed))));
    }
    if let Some(server) = &view.server {
        parts.push(format!("| {}", printable_line(server)));
    }
    parts
}

fn who(view: &ProgressView<'_>) -> &'static str {
    if view.arrivals.is_some() { "in flight" } else { "users" }
}

fn quantiles(tally: &EndpointTally) -> [String; 3] {
    let ranked = tally.ranked();
    [0.5, 0.95, 0.99].map(|q| ranked.quantile_seconds(q).map_or_else(|| "-".to_owned(), show_seconds))
}

fn line(view: &ProgressView<'_>) -> String {
    parts(view).join("  ")
}

fn block(view: &ProgressView<'_>, size: TerminalSize) -> String {
    // Many terminals wrap as soon as the last column is full.
    let columns = size.columns.saturating_sub(1).max(1);
    let mut lines: Vec<String> = Vec::new();
    let done = view.planned.filter(|planned| !planned.is_zero()).map(|planned| {
        let done = (view.elapsed.as_secs_f64() / planned.as_secs_f64()).min(1.0);
        let filled = (done * BAR as f64) as usize;
        format!("[{}{}]", "#".repeat(filled), "-".repeat(BAR - filled))
    });
    for part in done.into_iter().chain(parts(view)) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + part.chars().count() <= columns => {
                line.push_str("  ");
                line.push_str(&part);
            }
            _ => lines.push(part.trim_start().to_owned()),
        }
    }
    // The cursor needs the line below the block.
    let free = size.rows.saturating_sub(lines.len() + 1);
    lines.extend(table(view, columns, free));
    lines.truncate(size.rows.saturating_sub(1).max(1));
    lines.iter().map(|line| shorten(line, columns) + "\n").collect()
}

/// Returns a line for each endpoint, as far as there is room.
fn table(view: &ProgressView<'_>, columns: usize, most_lines: usize) -> Vec<String> {
    let mut parts: Vec<_> = view.interval.endpoints.iter().collect();
    // Two lines are for the head, and for the number of endpoints left out.
    let most_rows = most_lines.saturating_sub(2).min(MOST_ROWS);
    if most_rows == 0 {
        return Vec::new();
    }
    parts.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count()));
    let hidden = parts.len().saturating_sub(most_rows);
    parts.truncate(most_rows);
    // In an order that does not change from one second to the next.
    parts.sort_by_key(|(id, _)| *id);
    let row = |name: &str, cells: [String; 5]| {
        let [rate, p50, p95, p99, errors] = cells;
        // A narrow terminal shows only the columns that matter most.
        let shown = match columns {
            ..50 => vec![p95, errors],
            50..70 => vec![rate, p95, errors],
            _ => vec![rate, p50, p95, p99, errors],
        };
        let width = columns.saturating_sub(2 + 10 * shown.len()).clamp(8, 40);
        let cells: String = shown.iter().map(|cell| format!(" {cell:>9}")).collect();
        format!("  {:<width$}{cells}", shorten(name, width))
    };
    let mut lines = vec![row("endpoint, now", ["req/s", "p50", "p95", "p99", "errors"].map(str::to_owned))];
    lines.extend(parts.into_iter().filter_map(|(id, tally)| {
        let name = printable_line(&view.tally.endpoints().get(id.index())?.name.to_string());
        let [p50, p95, p99] = quantiles(tally);
        let rate = format!("{:.1}", tally.count() as f64 / view.span.max(1e-3));
        Some(row(&name, [rate, p50, p95, p99, tally.failed().to_string()]))
    }));
    if hidden > 0 {
        lines.push(format!("  … and {hidden} more"));
    }
    lines
}

/// Shortens a text to at most `most` characters, the last of which is an ellipsis.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EndpointName, Outcome, Recorder, Sample};

    fn show(endpoints: usize, size: TerminalSize, check: impl FnOnce(&str)) {
        let recorder = Recorder::new(1);
        for number in 0..endpoints {
            let path = format!("/api/with/a/rather/long/path/and/käse/{number}/{{product_id}}");
            let endpoint = recorder.endpoint(EndpointName::new("DELETE", path.as_str()), &path);
            recorder.record(
                recorder.shard(0),
                Sample {
                    endpoint,
                    outcome: Outcome::Success,
                    latency: Duration::from_micros(123_456),
                    service: None,
                    first_byte: None,
                    status: Some(200),
                    bytes: 0,
                    decoded_bytes: None,
                    after_end: false,
                    exhausted: None,
                    never_sent: false,
                    failure: None,
                },
            );
        }
        let mut tally = Tally::default();
        let interval = tally.drain(&recorder, 1.0, 1.0);
        let view = ProgressView {
            elapsed: Duration::from_secs(125),
            planned: Some(Duration::from_secs(300)),
            active: 1234,
            arrivals: Some(Arrivals { late: 123_456, dropped: 123_456, ..Arrivals::default() }),
            outage: Some(Duration::from_secs(12)),
            interval: &interval,
            span: 1.0,
            tally: &tally,
            server: Some("server: 1234.5 req/s, mean 1.23 ms, 3 bottlenecks".to_owned()),
        };
        check(&block(&view, size));
    }

    #[test]
    fn no_block_is_wider_or_higher_than_its_terminal() {
        for columns in [1, 20, 40, 49, 60, 80, 92, 100, 124, 200] {
            for rows in [1, 2, 5, 10, 24, 50] {
                for endpoints in [0, 1, 7, 30] {
                    show(endpoints, TerminalSize { columns, rows }, |text| {
                        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
                        assert!(widest <= columns, "{widest} of {columns}\n{text}");
                        assert!(text.ends_with('\n') && text.lines().count() <= rows, "{rows} rows\n{text}");
                    });
                }
            }
        }
    }

    #[test]
    fn a_common_terminal_shows_everything() {
        show(13, TerminalSize { columns: 80, rows: 24 }, |text| {
            for part in
                ["[########", "2m05s", "1234", "p99   123 ms", "errors 0 of 13", "no success for 12s", "dropped 123456"]
            {
                assert!(text.contains(part), "no {part} in\n{text}");
            }
            assert!(text.contains("3 bottlenecks") && text.contains("… and 1 more"), "{text}");
            let row = text.lines().find(|line| line.contains("DELETE")).unwrap();
            assert_eq!(row.split_whitespace().rev().take(2).collect::<Vec<_>>(), ["0", "ms"], "{text}");
        });
    }

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
