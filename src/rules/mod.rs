//! Numbers become judgements.

pub(crate) mod compare;
pub(crate) mod leak;
pub(crate) mod mix;
mod statistics;
pub(crate) mod trend;
