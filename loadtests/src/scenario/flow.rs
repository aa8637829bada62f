//! A scenario that consists of steps: what one kind of user does in each iteration.

use super::{data::DataSet, names::Names, pause::Pause, step::Step};

/// The steps of an iteration.
#[derive(Clone, Debug)]
pub(crate) enum Steps {
    /// All steps, one after another.
    InOrder(Vec<Step>),
    /// One of the steps an iteration, each as often as its weight says.
    ByWeight(Vec<(Step, usize)>),
}

impl Steps {
    /// Returns all steps.
    pub(crate) fn all(&self) -> Vec<&Step> {
        match self {
            Self::InOrder(steps) => steps.iter().collect(),
            Self::ByWeight(steps) => steps.iter().map(|(step, _)| step).collect(),
        }
    }
}

/// One kind of user. What is in a file under `scenarios:` is called a flow here, as a [`Scenario`](crate::Scenario) is
/// one in Rust.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Its name.
    pub(crate) name: String,
    /// Its share of the users, against the weights of the other kinds.
    pub(crate) weight: usize,
    /// Steps that each user does once, before its first iteration.
    pub(crate) start: Vec<Step>,
    /// What each iteration does.
    pub(crate) steps: Steps,
    /// The pause after each step.
    pub(crate) pause: Pause,
    /// Whether each user keeps cookies.
    pub(crate) cookies: bool,
    /// The table that rows come from.
    pub(crate) data: Option<DataSet>,
    /// The names of captured values and of columns.
    pub(crate) names: Names,
}
