//! [`RequestSeries`]: which series are request durations, and of which endpoint.

use std::sync::Arc;

use super::{
    delta::Delta,
    endpoint_names::{EndpointNames, NO_ENDPOINT},
    grid,
    layout::Layout,
    meta::SeriesMeta,
    outcome::OutcomeClass,
    series::{Cell, Index},
    slot_sums::SlotSums,
};
use crate::names;

/// Endpoint and outcome of the requests of one series.
#[derive(Clone, Copy, Debug)]
struct Attribution {
    endpoint: u32,
    failed: bool,
}

/// Requests of one endpoint in one tick, of one bucket of the grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickRequests {
    /// Place of the endpoint among the [`EndpointNames`].
    pub(crate) endpoint: u32,
    /// Whether they failed through the service's own fault.
    pub(crate) failed: bool,
    /// Bucket of the grid.
    pub(crate) bucket: u8,
    pub(crate) count: u32,
}

/// The series of request durations, each classified once.
#[derive(Debug, Default)]
pub(super) struct RequestSeries {
    /// By the series' place in the index.
    attributions: Vec<Option<Attribution>>,
    /// How many request series were classified.
    seen: usize,
    /// The layout that all request durations share, and the bucket of the grid for each of its buckets.
    grid: Option<(Arc<Layout>, Box<[u8]>)>,
}

impl RequestSeries {
    /// Classifies new series. `new` is called with each new endpoint.
    pub(super) fn follow(&mut self, index: &Index, endpoints: &mut EndpointNames, mut new: impl FnMut(u32, &str)) {
        let all = index.named(names::HTTP_DURATION.name);
        if all.len() == self.seen {
            return;
        }
        // Not the last ones alone: a new series may take a place that another one gave back.
        let is_new = |series: &u32| self.attributions.get(*series as usize).is_none_or(Option::is_none);
        let new_series: Vec<u32> = all.iter().copied().filter(is_new).collect();
        for series in new_series {
            let meta = &index.series[series as usize].meta;
            let name = name(meta);
            let (endpoint, is_new) = endpoints.number(&name);
            if is_new {
                new(endpoint, &name);
            }
            if self.attributions.len() <= series as usize {
                self.attributions.resize(series as usize + 1, None);
            }
            self.attributions[series as usize] =
                Some(Attribution { endpoint, failed: index.facts(series).class == OutcomeClass::Failure });
            if let (None, Cell::Histogram(cell)) = (&self.grid, &index.series[series as usize].cell) {
                self.grid = Some((cell.layout().clone(), grid::buckets_of(cell.layout())));
            }
        }
        self.seen = all.len();
    }

    /// Adds the requests of a difference to `sums`.
    pub(super) fn add(&self, delta: &Delta, sums: &mut SlotSums) {
        let Some((_, grid)) = &self.grid else { return };
        for entry in delta.entries.iter() {
            let Some(Some(attribution)) = self.attributions.get(entry.series as usize) else { continue };
            let (all, own) = sums.of(attribution.endpoint);
            let seconds = entry.after - entry.before;
            all.add(seconds, entry.max);
            own.add(seconds, entry.max);
            for (bucket, count) in delta.buckets(entry) {
                let Some(bucket) = grid.get(bucket) else { continue };
                all.count(*bucket, count, attribution.failed);
                own.count(*bucket, count, attribution.failed);
            }
        }
    }

    /// Calls `visit` with the requests of a difference.
    pub(super) fn visit(&self, delta: &Delta, mut visit: impl FnMut(TickRequests)) {
        let Some((_, grid)) = &self.grid else { return };
        for entry in delta.entries.iter() {
            let Some(Some(Attribution { endpoint, failed })) = self.attributions.get(entry.series as usize).copied()
            else {
                continue;
            };
            for (bucket, count) in delta.buckets(entry) {
                let Some(&bucket) = grid.get(bucket) else { continue };
                visit(TickRequests { endpoint, failed, bucket, count });
            }
        }
    }

    /// Replaces the endpoints' numbers, after an archive brought its own.
    #[cfg(feature = "archive")]
    pub(super) fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        self.attributions
            .iter_mut()
            .flatten()
            .for_each(|attribution| attribution.endpoint = number(attribution.endpoint));
    }
}

fn name(meta: &SeriesMeta) -> String {
    match (meta.label(names::METHOD), meta.label(names::ROUTE)) {
        (Some(method), Some(route)) if !route.is_empty() && route != names::OTHER => {
            names::shown(format!("{method} {route}")).into_owned()
        }
        _ => NO_ENDPOINT.to_owned(),
    }
}
