//! Numbers become judgements.
//!
//! The core says what a rule is and how it is judged: an [`Evaluator`] runs rules on [`Readings`](readings::Readings) and
//! returns the subjects that are over a threshold, each with its [`Evidence`](evidence::Evidence). Nothing here keeps state
//! between two ticks, reads a clock or knows of requests. Around the core stand two rooms that do not know each other:
//! [`file`] turns YAML into a [`RuleSet`], [`window`] turns the store's numbers into readings.
//!
//! Inside the core a file imports from the lines above its own only:
//!
//! ```text
//! the words        suggest scope severity subject cause_kind
//! their values     alert_labels unit template threshold slo
//! the catalogues   fact measure exported vocabulary condition
//! what is judged   rule evidence budget readings cause finding
//! how              join gain bottleneck evaluate coverage observed
//! ```
//!
//! Within a line they import from left to right. `suggest` ("did you mean") stands at the very left, since units, templates
//! and conditions are parsed in the core: what a text may hold is part of what a rule is.

#[cfg(any(feature = "deliver", feature = "export"))]
pub(crate) mod alert_labels;
mod bottleneck;
mod budget;
mod cause;
mod cause_kind;
mod condition;
mod coverage;
mod evaluate;
mod evidence;
mod exported;
pub(crate) mod fact;
mod file;
mod finding;
#[cfg(test)]
pub(crate) mod fixed;
mod gain;
mod join;
mod measure;
mod observed;
mod readings;
mod rule;
mod scope;
mod severity;
mod slo;
mod subject;
mod suggest;
mod template;
mod threshold;
mod unit;
mod vocabulary;
mod window;

pub use file::{LoadError, LoadProblem, RuleSet};
pub use observed::{Breach, ObservedEndpoint};
pub use severity::Severity;

pub(crate) use bottleneck::{Bottleneck, bottleneck_id};
pub(crate) use budget::Budget;
pub(crate) use cause::Diagnosis;
#[cfg(feature = "schema")]
pub use cause::causes_reference_markdown;
pub(crate) use coverage::Coverage;
pub(crate) use evaluate::Evaluator;
pub(crate) use evidence::{
    Blocker, EndpointShare, Fact, HeldBy, Holder, OutcomeShare, QueryShare, Split, Suspect, UseShare,
};
#[cfg(feature = "export")]
pub(crate) use file::to_yaml;
pub(crate) use file::{RuleTexts, located};
pub(crate) use finding::{CausedBy, Finding, STANDS_OUT};
pub(crate) use gain::Gain;
pub(crate) use measure::Measure;
#[cfg(all(test, feature = "export"))]
pub(crate) use measure::all as measures;
pub(crate) use readings::{Question, Reading};
pub(crate) use rule::Rule;
pub(crate) use scope::Scope;
pub(crate) use slo::{BURN_WINDOWS, RequestCounts, Slo, window_name};
pub(crate) use subject::Subject;
pub(crate) use suggest::{meant, nearest};
#[cfg(feature = "deliver")]
pub(crate) use template::{Template, TemplateError};
pub(crate) use threshold::{Threshold, Thresholds};
pub(crate) use unit::Unit;
#[cfg(all(test, feature = "archive"))]
pub(crate) use window::worse_version;
pub(crate) use window::{
    Activity, BudgetReadings, Budgets, EndpointTrends, Endpoints, MemoryGrowth, MemoryVerdict, ObjectiveReading,
    ProcessCounts, ProcessMemory, Regression, SeriesTrend, Sources, Texts, Totals, TrendReport, TrendSource, Uses,
    WindowReadings,
};
#[cfg(feature = "page")]
pub(crate) use window::{Course, CoursePoint, Query, Task, Use, queries, tasks};
#[cfg(feature = "archive")]
pub(crate) use window::{VersionNames, latencies};
#[cfg(feature = "export")]
pub(crate) use {
    condition::Condition,
    fact::label_of_word,
    measure::find_in as find_measure,
    rule::{LabelGlobs, MetricSelector},
    slo::{BadRequests, BurnAlert, SloScope},
    threshold::Operator,
};
#[cfg(feature = "replay")]
pub(crate) use {evidence::Evidence, readings::Readings, rule::Override};

#[cfg(test)]
mod advice_tests;
#[cfg(test)]
mod gain_tests;
#[cfg(test)]
mod shipped_tests;
