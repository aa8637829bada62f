//! [`Distribution`]: the latencies of one point of time, small enough to be kept and written for each.
//!
//! Percentiles of two points do not add up to those of both, but their distributions do: that is why a point keeps one.

use std::{fmt, str::FromStr};

use super::{
    endpoint_tally::EndpointTally,
    grid::{Cell, add, at_rank, count, rank_of, seconds_of},
    latency::Latency,
    outcome::Outcome,
};

/// Counts on a logarithmic grid of 1 % a cell, failures apart from successes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Distribution {
    successes: Vec<Cell>,
    failures: Vec<Cell>,
}

/// A text that cannot be read as a distribution.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a distribution; expected counts such as 460:3 470:1/690:2")]
pub(crate) struct DistributionError(String);

impl Distribution {
    /// The latencies of a tally.
    pub(super) fn of(tally: &EndpointTally) -> Self {
        let cells = |outcome| tally.latency(outcome).map_or_else(Vec::new, Latency::cells);
        let mut distribution = Self { successes: cells(Outcome::Success), failures: Vec::new() };
        for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Success) {
            add(&mut distribution.failures, &cells(outcome));
        }
        distribution
    }

    /// Adds the values of another point.
    pub(crate) fn add(&mut self, other: &Self) {
        add(&mut self.successes, &other.successes);
        add(&mut self.failures, &other.failures);
    }

    /// Returns how many values there are.
    pub(crate) fn count(&self) -> u64 {
        count(&self.successes) + count(&self.failures)
    }

    /// Returns the latency in seconds at or below which a share `q` (0 to 1) lies, failures ranked behind every success;
    /// `None` without values.
    pub(crate) fn quantile_seconds(&self, q: f64) -> Option<f64> {
        let rank = rank_of(q, self.count());
        let slowest = self.successes.last().map_or(0, |(cell, _)| *cell);
        let behind = || at_rank(&self.failures, rank - count(&self.successes)).map(|cell| cell.max(slowest));
        at_rank(&self.successes, rank).or_else(behind).map(seconds_of)
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, cells: &[Cell]| {
            for (index, (cell, count)) in cells.iter().enumerate() {
                write!(f, "{}{cell}:{count}", if index == 0 { "" } else { " " })?;
            }
            Ok(())
        };
        write(f, &self.successes)?;
        if !self.failures.is_empty() {
            f.write_str("/")?;
            write(f, &self.failures)?;
        }
        Ok(())
    }
}

impl FromStr for Distribution {
    type Err = DistributionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cell = |pair: &str| {
            let (cell, count) = pair.split_once(':')?;
            Some((cell.parse().ok()?, count.parse().ok()?))
        };
        let read = |part: &str| {
            let mut cells = Vec::new();
            for pair in part.split_whitespace() {
                let cell: Cell = cell(pair).ok_or_else(|| DistributionError(text.to_owned()))?;
                add(&mut cells, &[cell]);
            }
            Ok(cells)
        };
        let (successes, failures) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { successes: read(successes)?, failures: read(failures)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::grid::cell_of;

    fn of(successes: &[u64], failures: &[u64]) -> Distribution {
        let mut distribution = Distribution::default();
        for (cells, values) in [(&mut distribution.successes, successes), (&mut distribution.failures, failures)] {
            values.iter().for_each(|micros| add(cells, &[(cell_of(*micros), 1)]));
        }
        distribution
    }

    #[test]
    fn failures_rank_behind_every_success() {
        let distribution = of(&[100, 20_000], &[5, 50_000]);
        let near = |q: f64, micros: f64| {
            let seen = distribution.quantile_seconds(q).unwrap() * 1e6;
            assert!((seen / micros - 1.0).abs() < 0.006, "{q}: {seen}");
        };
        near(0.25, 100.0);
        near(0.5, 20_000.0);
        near(0.75, 20_000.0);
        near(1.0, 50_000.0);
        assert_eq!(Distribution::default().quantile_seconds(0.5), None);
        assert!(of(&[86_400_000_000], &[]).quantile_seconds(0.5).unwrap() > 86_000.0);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for text in ["1", "a:b", "1:2/3", "70000:1", "1:-1"] {
            assert!(text.parse::<Distribution>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(left in prop::collection::vec(1u64..9_000_000, 0..60),
                                     right in prop::collection::vec(1u64..9_000_000, 0..60)) {
            let mut sum = of(&left, &right[..right.len() / 2]);
            sum.add(&of(&right, &left[..left.len() / 2]));
            let all: Vec<u64> = left.iter().chain(&right).copied().collect();
            let failed: Vec<u64> = right[..right.len() / 2].iter().chain(&left[..left.len() / 2]).copied().collect();
            prop_assert_eq!(&sum, &of(&all, &failed));
            prop_assert_eq!(sum.to_string().parse::<Distribution>().unwrap(), sum);
        }
    }
}
