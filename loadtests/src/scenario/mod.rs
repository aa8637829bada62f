//! What users do: scenarios, their steps, and where the values in them come from.
//!
//! A scenario comes from `--endpoints`, from a YAML file, or from Rust code. Whatever can be checked about it is checked
//! while it is read: a variable that no earlier step captures is an error with a line number, not a failed request.

mod assertion;
mod capture;
mod data;
mod file;
mod flow;
mod json_path;
mod node;
mod random;
mod shop;
mod step;
mod template;

pub(crate) use assertion::{Expectation, StatusPattern};
pub(crate) use capture::{Answer, Capture};
pub(crate) use data::DataPer;
pub(crate) use file::{ScenarioFileError, load_scenarios};
pub(crate) use flow::{Body, Flow, Pause};
pub(crate) use random::Random;
pub(crate) use shop::shop;
pub(crate) use step::{Payload, Step};
pub(crate) use template::{Names, Scope, Template, TemplateError, Values};
