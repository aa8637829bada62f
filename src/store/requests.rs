//! [`RequestSeries`]: which series are requests, and of which endpoint.

use std::sync::Arc;

use super::{
    delta::Delta,
    endpoint_names::{EndpointNames, NO_ENDPOINT},
    grid,
    layout::Layout,
    series::{Cell, Index, SeriesMeta},
    slot::SlotSums,
};
use crate::names;

/// What a series of request durations counts.
#[derive(Clone, Copy, Debug)]
struct Place {
    endpoint: u32,
    failed: bool,
}

/// The series of request durations, each looked at once.
#[derive(Debug, Default)]
pub(super) struct RequestSeries {
    /// By the series' place in the index.
    places: Vec<Option<Place>>,
    /// How many of them were looked at.
    seen: usize,
    /// Buckets of the grid for those of the layout, which all request durations share.
    grid: Option<(Arc<Layout>, Box<[u8]>)>,
}

impl RequestSeries {
    /// Takes in series that are new; `failed` tells which of them count failures, `new` hears of new names.
    pub(super) fn follow(
        &mut self,
        index: &Index,
        endpoints: &mut EndpointNames,
        failed: impl Fn(&SeriesMeta) -> bool,
        mut new: impl FnMut(u32, &str),
    ) {
        let all = index.named(names::HTTP_DURATION.name);
        for &series in all.get(self.seen..).unwrap_or_default() {
            let meta = &index.series[series as usize].meta;
            let name = name(meta);
            let (endpoint, is_new) = endpoints.number(&name);
            if is_new {
                new(endpoint, &name);
            }
            if self.places.len() <= series as usize {
                self.places.resize(series as usize + 1, None);
            }
            self.places[series as usize] = Some(Place { endpoint, failed: failed(meta) });
            if let (None, Cell::Histogram(cell)) = (&self.grid, &index.series[series as usize].cell) {
                self.grid = Some((cell.layout().clone(), grid::places(cell.layout())));
            }
        }
        self.seen = all.len();
    }

    /// Adds what changed to `sums`.
    pub(super) fn add(&self, delta: &Delta, sums: &mut SlotSums) {
        let Some((_, grid)) = &self.grid else { return };
        for entry in &delta.entries {
            let Some(Some(place)) = self.places.get(entry.series as usize) else { continue };
            let (all, own) = sums.of(place.endpoint);
            let seconds = entry.after - entry.before;
            all.add(seconds, entry.max);
            own.add(seconds, entry.max);
            for (bucket, count) in delta.buckets(entry) {
                let Some(bucket) = grid.get(bucket) else { continue };
                all.count(*bucket, count, place.failed);
                own.count(*bucket, count, place.failed);
            }
        }
    }

    /// Gives every series' endpoint another number.
    #[cfg(feature = "archive")]
    pub(super) fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        self.places.iter_mut().flatten().for_each(|place| place.endpoint = number(place.endpoint));
    }
}

fn name(meta: &SeriesMeta) -> String {
    match (meta.label(names::METHOD), meta.label(names::ROUTE)) {
        (Some(method), Some(route)) if !route.is_empty() && route != names::OTHER => format!("{method} {route}"),
        _ => NO_ENDPOINT.to_owned(),
    }
}
