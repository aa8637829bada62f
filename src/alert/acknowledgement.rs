//! [`Acknowledgements`]: what people said of findings that they know, so that nobody is sent them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use crate::rules::{Bottleneck, Severity};

/// Acknowledgements that are kept at a time: more than a person gives.
pub(crate) const MOST: usize = 1_000;

/// A person knows of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    /// Id of the rule.
    pub(crate) rule: Arc<str>,
    pub(crate) subject: Arc<str>,
    /// How severe the finding was. It is not acknowledged should it get worse.
    pub(crate) severity: Severity,
    pub(crate) by: String,
    pub(crate) reason: String,
    /// When it was given, since the Unix epoch.
    pub(crate) at: Duration,
    /// When it ends.
    pub(crate) until: Duration,
}

/// The acknowledgements of a service, by rule and subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acknowledgements(BTreeMap<(Arc<str>, Arc<str>), Arc<Acknowledgement>>);

impl Acknowledgements {
    /// Adds those of the run before, but for findings that were acknowledged since.
    pub(crate) fn restore(&mut self, before: &[Acknowledgement]) {
        for one in before {
            let has_place = self.0.len() < MOST;
            if let Entry::Vacant(place) = self.0.entry((one.rule.clone(), one.subject.clone()))
                && has_place
            {
                place.insert(Arc::new(one.clone()));
            }
        }
    }

    /// Returns the acknowledgement of a bottleneck that is in force; none where it is more severe than it was then.
    pub(crate) fn get(&self, bottleneck: &Bottleneck, wall: Duration) -> Option<&Arc<Acknowledgement>> {
        let found = self.0.get(&(bottleneck.rule.id.clone(), bottleneck.subject.name.clone()))?;
        (wall < found.until && bottleneck.severity <= found.severity).then_some(found)
    }

    /// Adds one, in place of that of the same finding. Returns `false` where there is no place for it.
    pub(crate) fn add(&mut self, acknowledgement: Acknowledgement, wall: Duration) -> bool {
        self.0.retain(|_, one| wall < one.until);
        let key = (acknowledgement.rule.clone(), acknowledgement.subject.clone());
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            return false;
        }
        self.0.insert(key, Arc::new(acknowledgement));
        true
    }

    /// Takes back those that are `wanted`. Returns the first.
    pub(crate) fn remove(&mut self, wanted: impl Fn(&Acknowledgement) -> bool) -> Option<Arc<Acknowledgement>> {
        let mut removed = None;
        self.0.retain(|_, one| {
            let is_kept = !wanted(one);
            if !is_kept {
                removed.get_or_insert_with(|| one.clone());
            }
            is_kept
        });
        removed
    }

    /// Returns those in force.
    pub(crate) fn in_force(&self, wall: Duration) -> impl Iterator<Item = &Arc<Acknowledgement>> {
        self.0.values().filter(move |one| wall < one.until)
    }
}
