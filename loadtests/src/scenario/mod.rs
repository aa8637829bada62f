//! What users do: scenarios, their steps, and where the values in them come from.
//!
//! A scenario comes from `--endpoints`, from a YAML file, or from Rust code. This room reads and checks the first two; it
//! sends nothing. Whatever can be checked about a scenario is checked while it is read: a variable that no earlier step
//! captures is an error with a line number, not a failed request.

mod address;
mod assertion;
mod capture;
mod data;
mod file;
mod flow;
mod json_form;
mod json_path;
mod names;
mod node;
mod pause;
mod placeholder;
mod random;
mod response;
mod shop;
mod step;
mod suggestion;
mod syntax;
mod template;

pub(crate) use address::unsendable;
pub(crate) use assertion::{Expectation, StatusPattern};
pub(crate) use capture::Capture;
pub(crate) use data::RowLifetime;
pub(crate) use file::{ScenarioFileError, load_scenarios};
pub(crate) use flow::{Flow, Steps};
pub(crate) use names::{Names, Values};
pub(crate) use pause::Pause;
pub(crate) use placeholder::replace_placeholders;
pub(crate) use random::Random;
pub(crate) use response::Response;
pub(crate) use shop::shop;
pub(crate) use step::{Payload, Step};
pub(crate) use syntax::Syntax;
pub(crate) use template::{Scope, Template, TemplateError};
