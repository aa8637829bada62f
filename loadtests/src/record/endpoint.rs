//! [`EndpointName`]: the method and the path template that requests are counted under.

use std::fmt;

/// Index of an endpoint in the recorder that registered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EndpointId(pub(super) u32);

impl EndpointId {
    /// Returns the position in [`crate::record::Tally::endpoints`].
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Name of an endpoint, such as `GET /api/products/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EndpointName {
    /// Request method.
    pub(crate) method: String,
    /// Path with placeholders in braces, or the name that a scenario gave to the step.
    pub(crate) path: String,
}

impl EndpointName {
    /// Makes a name of its two parts.
    pub(crate) fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self { method: method.into(), path: path.into() }
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
