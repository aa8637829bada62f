//! What a scrape costs beside other exporters that write the same series: time, allocations, and memory at its peak.
//!
//! The contestants take turns in one run, so that a change of the machine's speed meets all of them.

mod contestants;
mod series;

use std::{collections::BTreeSet, io::Write as _, time::Instant};

use contestants::Contestant;

const ROUNDS: usize = 21;
const LINES: [usize; 2] = [10_000, 100_000];

/// What one scrape of a contestant costs.
struct Cost {
    milliseconds: f64,
    allocations: u64,
    /// Above what is allocated before.
    peak_bytes: u64,
    bytes: usize,
}

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let mut out = std::io::stdout().lock();
    for lines in LINES {
        let series = series::of_lines(lines);
        let contestants = {
            let _entered = runtime.enter();
            contestants::all(&series)
        };
        let lines = series::lines(&series);
        for contestant in &contestants {
            let written = shop_lines(contestant);
            assert_eq!(written.len(), lines, "{} writes other lines", contestant.name);
        }
        writeln!(out, "{lines} lines of {} series; medians of {rounds} alternated rounds.\n", series.len())?;
        writeln!(out, "| exporter | ms/scrape | ns/line | allocations | MB at the peak | MB of the page |")?;
        writeln!(out, "|---|--:|--:|--:|--:|--:|")?;
        for (Contestant { name, .. }, cost) in contestants.iter().zip(costs(&contestants, rounds)) {
            writeln!(
                out,
                "| {name} | {:.2} | {:.0} | {} | {:.1} | {:.1} |",
                cost.milliseconds,
                cost.milliseconds * 1e6 / lines as f64,
                cost.allocations,
                cost.peak_bytes as f64 / 1e6,
                cost.bytes as f64 / 1e6,
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Returns the series of the service that a contestant writes, without their values. Each once, or it would be no page.
fn shop_lines(contestant: &Contestant) -> BTreeSet<String> {
    let mut page = Vec::new();
    (contestant.scrape)(&mut |part| page.extend_from_slice(part));
    let page = String::from_utf8(page).expect("a page is text");
    let lines = page.lines().filter(|line| line.starts_with("shop_"));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

fn costs(contestants: &[Contestant], rounds: usize) -> Vec<Cost> {
    let mut times = vec![Vec::with_capacity(rounds); contestants.len()];
    for round in 0..=rounds {
        for (Contestant { scrape, .. }, times) in contestants.iter().zip(&mut times) {
            let began = Instant::now();
            scrape(&mut |part| _ = std::hint::black_box(part));
            // The first round warms up.
            if round > 0 {
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let cost = |(Contestant { scrape, .. }, mut times): (&Contestant, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        let mut bytes = 0;
        let counted = allocation_counter::measure(|| scrape(&mut |part| bytes += part.len()));
        Cost {
            milliseconds: times[times.len() / 2],
            allocations: counted.count_total,
            peak_bytes: counted.bytes_max,
            bytes,
        }
    };
    contestants.iter().zip(times).map(cost).collect()
}
