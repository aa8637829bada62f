//! Text becomes rules: files are read, checked whole and turned into a [`RuleSet`].
//!
//! A text goes through four steps: `located` finds where everything stands, `keys` reports every key that is wrong,
//! serde_yaml fills the types of `entry` from that tree, and `build` checks what they mean. Invariant: rules come out
//! only if no step of any file found a problem. [`source`] is the only file of `rules` that does I/O.

mod build;
mod builder;
mod embedded;
mod entry;
mod keys;
mod limits;
mod load;
pub(crate) mod located;
mod naming;
mod objective;
mod position;
mod problem;
mod reach;
#[cfg(feature = "schema")]
mod reference;
#[cfg(feature = "schema")]
mod schema;
mod set;
mod source;
mod values;
mod yaml;

pub use problem::{LoadError, LoadProblem};
pub use set::RuleSet;

pub(crate) use source::RuleTexts;
#[cfg(feature = "export")]
pub(crate) use yaml::to_string as to_yaml;
#[cfg(test)]
pub(crate) use {load::load, source::RuleText};
