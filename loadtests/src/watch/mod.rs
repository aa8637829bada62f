//! What runs beside the load: the watch on the generator itself, and the progress on the screen.

mod generator;
mod progress;

pub(crate) use generator::{GeneratorHealth, GeneratorWatch};
pub(crate) use progress::{ProgressView, Screen};
