//! [`Document`]: one of several files that belong together.

use serde::Serialize;

/// A file of an export that has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Path below the directory of the export, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl Document {
    pub(super) fn new(path: &str, text: String) -> Self {
        Self { path: path.to_owned(), text }
    }

    pub(super) fn json(path: &str, value: &impl Serialize) -> Self {
        let text = serde_json::to_string_pretty(value).expect("text, numbers, lists and maps by text are JSON");
        Self::new(path, text + "\n")
    }
}
