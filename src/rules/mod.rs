//! Numbers become judgements.
//!
//! A [`RuleSet`] is loaded from YAML files, checked whole. An [`Evaluator`] runs it on [`Readings`](readings::Readings) and says which
//! subjects are over which thresholds, with the [`Evidence`] of why. Nothing here remembers anything between two ticks,
//! reads a clock or knows of requests: it knows numbers, and where they came from is behind one trait.

mod bottleneck;
mod build;
mod condition;
mod durations;
mod entry;
mod evaluate;
mod evidence;
mod file;
#[cfg(test)]
pub(crate) mod fixed;
mod gain;
mod limits;
mod located;
mod measure;
mod memory;
mod observed;
mod problem;
mod readings;
mod rule;
mod set;
mod severity;
mod shape;
mod source;
mod suggest;
mod summary;
mod task;
mod template;
mod totals;
mod trend_report;
mod unit;
#[cfg(feature = "archive")]
mod version;
mod window_evidence;
mod window_readings;

pub use observed::{Breach, ObservedEndpoint};
pub use problem::{LoadError, LoadProblem};
pub use set::RuleSet;
pub use severity::Severity;

pub(crate) use bottleneck::{Bottleneck, Finding};
pub(crate) use durations::Verdict;
pub(crate) use evaluate::Evaluator;
pub(crate) use evidence::{Blocker, EndpointShare, Fact, OutcomeShare, QueryShare, Suspect};
pub(crate) use gain::Gain;
pub(crate) use measure::{Measure, Scope};
pub(crate) use memory::ProcessMemory;
pub(crate) use rule::{Rule, Threshold, Thresholds};
pub(crate) use source::RuleTexts;
pub(crate) use summary::{Endpoints, QueryUses, Split, is_failure};
pub(crate) use totals::Totals;
pub(crate) use trend_report::{EndpointTrends, Judged, TrendReport, TrendSource};
pub(crate) use unit::Unit;
#[cfg(feature = "archive")]
pub(crate) use version::latencies;
pub(crate) use window_readings::WindowReadings;

#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod window_evidence_tests;
#[cfg(test)]
mod window_readings_tests;
