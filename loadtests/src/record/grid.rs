//! The logarithmic grid that a point's latencies are counted on, and the rank of a quantile.

/// Cells in which a value grows by the factor e: 1 % a cell.
const CELLS: f64 = 100.0;

/// Position of a cell on the grid, and how many values it has.
pub(super) type Cell = (u16, u64);

/// Returns the cell of a latency.
pub(super) fn cell_of(micros: u64) -> u16 {
    // A day is cell 2518, so u16 has room for every latency that is recorded.
    ((micros.max(1) as f64).ln() * CELLS).round() as u16
}

/// Returns the latency in the middle of a cell.
pub(super) fn seconds_of(cell: u16) -> f64 {
    (f64::from(cell) / CELLS).exp() * 1e-6
}

/// Adds counts to `cells`, which stay in ascending order.
pub(super) fn add(cells: &mut Vec<Cell>, others: &[Cell]) {
    for &(cell, count) in others {
        match cells.binary_search_by_key(&cell, |(known, _)| *known) {
            Ok(at) => cells[at].1 += count,
            Err(at) => cells.insert(at, (cell, count)),
        }
    }
}

/// Returns how many values the cells have.
pub(super) fn count(cells: &[Cell]) -> u64 {
    cells.iter().map(|(_, count)| count).sum()
}

/// Returns the cell of the `rank`-th smallest value, counted from 1; `None` past the last value.
pub(super) fn at_rank(cells: &[Cell], rank: u64) -> Option<u16> {
    let mut below = 0;
    cells.iter().find_map(|(cell, count)| {
        below += count;
        (below >= rank).then_some(*cell)
    })
}

/// Returns the rank, from 1, of the value at or below which a share `q` (0 to 1) of `count` values lies.
pub(crate) fn rank_of(q: f64, count: u64) -> u64 {
    // The product of a decimal share and a count may lie a hair above the whole number it stands for.
    let rank = (q * count as f64 - 1e-9).ceil() as u64;
    rank.clamp(1, count.max(1))
}
