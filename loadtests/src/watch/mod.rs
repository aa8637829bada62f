//! What is watched while the load runs: the generator itself, and the progress.

mod generator;
mod progress;

pub(crate) use generator::{GeneratorHealth, GeneratorWatch};
pub(crate) use progress::{ProgressView, Screen};
