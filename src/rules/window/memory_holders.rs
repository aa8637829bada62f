//! [`MemoryHolders`]: the endpoints whose requests keep memory, and which of them are suspected of a leak.
//!
//! Only the counting allocator knows what a request keeps; without it there are no holders and no suspects. Growth that
//! no endpoint keeps is attributed to none: it is reported as the unattributed share.

use super::{durations::divide, endpoints::Endpoint, facts::Facts, index::WindowIndex, memory::MemoryGrowth};
use crate::rules::{evidence::Suspect, fact};

/// Suspects that an evidence names.
const SHOWN: usize = 5;
/// An endpoint is a suspect if it keeps at least this share of what the process gained …
const SUSPECT_RATIO: f64 = 0.1;
/// … and at least this much: less is a cache or a request in flight.
const SUSPECT_BYTES: f64 = 1e6;

/// The endpoints of a window that keep memory, the most first.
pub(super) struct MemoryHolders<'i, 'w> {
    index: &'i WindowIndex<'w>,
    holders: Vec<(&'i Endpoint<'w>, f64)>,
}

impl<'i, 'w> MemoryHolders<'i, 'w> {
    /// Returns the holders of a window. The longest window is best: what a few minutes leave behind is more often a
    /// cache or a request in flight than a leak.
    pub(super) fn of(index: &'i WindowIndex<'w>) -> Self {
        let kept = |endpoint: &Endpoint<'_>| endpoint.kept_bytes.filter(|bytes| *bytes > 0.0);
        let endpoints = index.endpoints().all.iter();
        let mut holders: Vec<_> = endpoints.filter_map(|endpoint| Some((endpoint, kept(endpoint)?))).collect();
        holders.sort_by(|(a, a_kept), (b, b_kept)| {
            b_kept.total_cmp(a_kept).then_with(|| a.subject().name.cmp(&b.subject().name))
        });
        Self { index, holders }
    }

    /// Adds the endpoint that keeps the most, whether or not the memory grows.
    pub(super) fn add_top(&self, facts: &mut Facts) {
        let Some((holder, bytes)) = self.holders.first().filter(|(_, bytes)| *bytes >= SUSPECT_BYTES) else { return };
        let resident = self.index.memory().unwrap_or_default();
        facts.word(fact::TOP_HOLDER, Some(&holder.subject().name));
        facts.number(fact::TOP_HOLDER_MEMORY, Some(*bytes));
        facts.number(fact::TOP_HOLDER_RATIO, divide(*bytes, resident).map(|ratio| ratio.min(1.0)));
    }

    /// Returns the endpoints that keep a substantial part of what the process gained, the most first, and adds the top
    /// one and the unattributed share to the facts. A route that shows the growth by its own live bytes is the top one, whatever
    /// others keep, which may be caches. Without growth there are none.
    pub(super) fn suspects(&self, growth: Option<&MemoryGrowth>, facts: &mut Facts) -> Vec<Suspect> {
        let Some((growth, gained)) = growth.and_then(|growth| Some((growth, growth.gained_bytes?))) else {
            return Vec::new();
        };
        let hours = self.index.window.span().as_secs_f64() / 3600.0;
        let each = self.holders.iter().map_while(|(endpoint, bytes)| {
            let ratio = (bytes / gained).min(1.0);
            (ratio >= SUSPECT_RATIO && *bytes >= SUSPECT_BYTES).then_some(Suspect {
                endpoint: endpoint.subject().name.clone(),
                requests: endpoint.durations.count(),
                kept_bytes: *bytes,
                bytes_per_hour: divide(*bytes, hours)?,
                ratio,
            })
        });
        let mut suspects: Vec<_> = each.collect();
        // Stable: the others stay in their order.
        suspects.sort_by_key(|suspect| growth.route.as_ref() != Some(&suspect.endpoint));
        suspects.truncate(SHOWN);
        if let Some(top) = suspects.first() {
            facts.word(fact::TOP_SUSPECT, Some(&top.endpoint));
            facts.number(fact::TOP_SUSPECT_GROWTH, Some(top.bytes_per_hour));
            facts.number(fact::TOP_SUSPECT_RATIO, Some(top.ratio));
        }
        if self.index.endpoints().all.iter().any(|endpoint| endpoint.kept_bytes.is_some()) {
            let attributed: f64 = suspects.iter().map(|suspect| suspect.ratio).sum();
            facts.number(fact::UNATTRIBUTED_RATIO, Some((1.0 - attributed).max(0.0)));
        }
        suspects
    }
}
