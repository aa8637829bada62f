//! [`SettingsError`].

/// Why settings could not be read.
///
/// Its `Display` begins with the place, as compilers do, so that editors and terminals can jump there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not YAML; or a key is unknown, there twice, without its companion, or has a list for a plain value; or a
    /// variable is unknown; or a setting does not accept a value that may be secret.
    #[error("{place}: {problem}")]
    Malformed {
        /// The file, with line and column, or the environment variable.
        place: String,
        /// What is wrong there, and what was expected.
        problem: String,
    },
    /// A setting does not accept its value, which is no secret.
    #[error("{place}: {setting} is {found:?}; expected {expected}")]
    Value {
        /// The file with line and column, or the environment variable.
        place: String,
        /// The setting's key.
        setting: &'static str,
        /// The value.
        found: String,
        /// What the setting accepts.
        expected: &'static str,
    },
    /// Several of these, in the order of the file and then of the variables.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<SettingsError>),
}

impl SettingsError {
    /// Returns one error for several, and `None` for none.
    pub(super) fn of(mut errors: Vec<Self>) -> Option<Self> {
        let last = errors.pop()?;
        if errors.is_empty() {
            return Some(last);
        }
        errors.push(last);
        Some(Self::Several(errors))
    }
}
