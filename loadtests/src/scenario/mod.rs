//! What users do: scenarios, their steps, and where the values in them come from.
//!
//! A scenario comes from `--endpoints`, from a YAML file, or from Rust code. This room reads and checks the first two; it
//! sends nothing. Whatever can be checked about a scenario is checked while it is read: a variable that no earlier step
//! captures is an error with a line number, not a failed request.

mod assertion;
mod capture;
mod data;
mod file;
mod flow;
mod json_path;
mod node;
mod pause;
mod random;
mod response;
mod shop;
mod step;
mod suggestion;
mod template;

pub(crate) use assertion::{Expectation, StatusPattern};
pub(crate) use capture::Capture;
pub(crate) use data::RowLifetime;
pub(crate) use file::{ScenarioFileError, load_scenarios};
pub(crate) use flow::{Flow, Steps};
pub(crate) use pause::Pause;
pub(crate) use random::Random;
pub(crate) use response::Response;
pub(crate) use shop::shop;
pub(crate) use step::{Payload, Step};
pub(crate) use template::{Names, Scope, Template, TemplateError, Values, replace_placeholders};
