//! Rules tried out where no service runs: on traffic that a test describes, and on what was stored.
//!
//! [`RuleTests`] are unit tests of rules: a file describes traffic and says what must be pending, firing or resolved at which time.
//! They run on the parts of a real monitor, with its evaluator, windows and lifecycle; only the time is set by the test. A
//! [`StoredHistory`] and a [`PrometheusReplay`] say what rules would have found over the past. `pinchpoint rules test` and `pinchpoint
//! rules replay` are this room as commands. The invariant that a change could break: nothing here judges; what a
//! rule means is decided where the service decides it.
//!
//! ```text
//! problem      what is wrong with a test file, and where
//! fields       the keys of its mappings
//! notation     values of series, as promtool writes them
//! labels       names of series, as Prometheus writes them
//! traffic      descriptions of requests, queries and tasks
//! series       descriptions of series
//! flow         requests, queries and tasks into cells
//! samples      series into cells
//! expectation  what must be firing, and what differs
//! test_file    the file
//! rule_tests   what runs it
//! trace        values of series, written for promtool
//! stories      what is made of a test for it
//! promtool     the tests as tests of the exported alerts
//!
//! chronicle    the course of alerts over the past
//! judged       which rules a history file can judge
//! slots        its slots as readings
//! stored       rules over a history file
//! prometheus   rules over what a Prometheus stored
//!
//! diff         inserted lines as a diff
//! edit         where overrides go in a rule file
//! suggest      thresholds that follow from a history
//! ```

mod chronicle;
mod diff;
mod edit;
mod expectation;
mod fields;
mod flow;
mod judged;
mod labels;
mod notation;
mod problem;
mod prometheus;
mod promtool;
mod rule_tests;
mod samples;
mod series;
mod slots;
mod stored;
mod stories;
mod suggest;
mod test_file;
mod trace;
mod traffic;

#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod stored_tests;

pub use crate::monitor::HistoryError;
pub use chronicle::{PastAlert, Remark, Replay};
pub use expectation::Difference;
pub use problem::{TestFileError, TestProblem};
pub use prometheus::{PrometheusQuestion, PrometheusRange, PrometheusReplay, PrometheusSeries};
pub use promtool::promtool_tests;
pub use rule_tests::{RuleTests, TestResult};
pub use stored::StoredHistory;
pub use suggest::{Suggestion, SuggestionOptions, Suggestions};
