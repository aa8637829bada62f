//! [`Subject`]: what a rule judges.

use std::{borrow::Cow, sync::Arc};

use crate::names;

/// What a reading is about: an endpoint, a query, a task, the process or a group of series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    /// As people know it: `GET /users/{id}`, a query's fingerprint, a task's name.
    pub(crate) name: Arc<str>,
    pub(crate) labels: Vec<(Cow<'static, str>, Arc<str>)>,
}

impl Subject {
    /// Makes a subject; a long name is cut, while the labels stay whole.
    pub(crate) fn new(name: impl Into<String>, labels: Vec<(Cow<'static, str>, Arc<str>)>) -> Self {
        Self { name: names::shown(name.into()).into(), labels }
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_ref())
    }
}
