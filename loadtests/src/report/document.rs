//! The order of a report's blocks, on a page and in the terminal.

use super::{block::Block, plots, sections};
use crate::result::RunResult;

/// Endpoints whose course over time is plotted; a page of a thousand would not open.
const MOST_PLOTS: usize = 30;

/// The blocks of a page or a file: the answer first, then what explains it.
pub(super) fn page(result: &RunResult) -> Vec<Block> {
    let mut blocks = sections::title(result);
    blocks.extend(sections::tiles(result));
    blocks.extend(sections::checks(result));
    blocks.extend(result.capacity.iter().flat_map(|capacity| {
        let mut capacity_blocks = sections::capacity(capacity);
        capacity_blocks.push(Block::Plots(None, plots::capacity(capacity).into()));
        capacity_blocks.extend(sections::capacity_steps(capacity));
        capacity_blocks
    }));
    blocks.extend(sections::profile(result));
    blocks.extend(sections::endpoints(result));
    if !result.is_unmeasured() {
        let [latency, rate] = plots::over_time(&result.total, "All requests", &result.outages);
        blocks.push(Block::Plots(None, vec![latency, rate, plots::distribution(&result.total)]));
    }
    blocks.extend(sections::failures(result));
    blocks.extend(result.comparison.iter().flat_map(sections::comparison));
    blocks.extend(sections::server(result));
    if result.endpoints.len() > 1 {
        let endpoints = result.endpoints.iter().take(MOST_PLOTS);
        let plots = endpoints.flat_map(|endpoint| plots::over_time(endpoint, &endpoint.name(), &result.outages));
        blocks.push(Block::Plots(Some("Each endpoint over time".to_owned()), plots.collect()));
    }
    blocks.extend(sections::remarks(result));
    blocks.into_iter().map(Block::printable).collect()
}

/// The blocks of the terminal: the answer last, where the reader's eyes are. The verdict follows by itself.
pub(super) fn terminal(result: &RunResult) -> Vec<Block> {
    let mut blocks = vec![Block::Text(sections::summary(result))];
    // A profile has one endpoint, whose numbers are those of its own section.
    match &result.profile {
        Some(_) if !result.is_unmeasured() => blocks.extend(sections::profile(result)),
        Some(_) | None => blocks.extend(sections::endpoints(result)),
    }
    blocks.extend(sections::failures(result));
    blocks.extend(sections::server(result));
    blocks.extend(result.comparison.iter().flat_map(sections::comparison));
    blocks.extend(result.capacity.iter().flat_map(|capacity| {
        let mut capacity_blocks = sections::capacity_steps(capacity);
        capacity_blocks.extend(sections::capacity(capacity));
        capacity_blocks
    }));
    blocks.extend(sections::remarks(result));
    blocks.into_iter().map(Block::printable).collect()
}
