//! [`whole_names`]: which series may be removed together.

use std::collections::HashMap;

use super::{meta::SeriesMeta, series::Index};
use crate::names;

/// Keeps those of the unused series with whose name no other series is in use. What is made of several series of one name, its
/// counters by outcome, its text, its pairs, would otherwise fall or be lost when the first of them goes.
pub(super) fn whole_names(index: &Index, unused: Vec<u32>) -> Vec<u32> {
    let meta = |place: u32| &index.series[place as usize].meta;
    let mut left: HashMap<Vec<(&str, &str)>, usize> = HashMap::new();
    let is_named = |place: &u32| names::IN_FORCE.iter().all(|metric| metric.name != meta(*place).name());
    unused.iter().copied().filter(is_named).for_each(|place| *left.entry(name_of(meta(place))).or_default() += 1);
    if left.is_empty() {
        return unused;
    }
    for place in names::GIVEN_BACK.iter().flat_map(|metric| index.named(metric.name)) {
        if let Some(left) = left.get_mut(&name_of(meta(*place))) {
            *left = left.wrapping_sub(1);
        }
    }
    unused.iter().copied().filter(|place| left.get(&name_of(meta(*place))).is_none_or(|left| *left == 0)).collect()
}

/// Returns the labels that say whose a series is.
fn name_of(meta: &SeriesMeta) -> Vec<(&str, &str)> {
    match meta.label(names::DB_QUERY_ID) {
        Some(id) => vec![(names::DB_QUERY_ID, id)],
        None => {
            let labels = meta.key.labels().map(|label| (label.key(), label.value()));
            labels.filter(|(name, _)| !names::WITHIN_A_NAME.contains(name)).collect()
        }
    }
}
