//! [`Secret`]: a secret, and where it comes from.

use std::{fmt, fs::File, io::Read as _, path::PathBuf, sync::Arc};

use crate::monitor::token;

/// Longer than any token or address.
const LONGEST: u64 = 64 << 10;

/// A secret of a receiver: a token, a password, or an address that is one, as those of chat services are.
///
/// It is read when the monitor is built, and again when a receiver refuses it. Nothing shows it, `Debug` neither.
///
/// ```
/// use pinchpoint::Secret;
///
/// let token = Secret::file("/run/secrets/alertmanager-token");
/// assert_eq!(format!("{:?}", Secret::value("hunter2")), "Secret(..)");
/// # let _ = token;
/// ```
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Value(Arc<str>),
    File(PathBuf),
    Environment(String),
}

impl Secret {
    /// Returns a secret that the program has.
    #[must_use]
    pub fn value(value: impl Into<Arc<str>>) -> Self {
        Self(Source::Value(value.into()))
    }

    /// Returns a secret that a file holds: its text without spaces and line breaks at the ends.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// Returns a secret that a variable of the environment holds.
    #[must_use]
    pub fn env(variable: impl Into<String>) -> Self {
        Self(Source::Environment(variable.into()))
    }

    /// Returns whether reading it again may return something else.
    pub(super) fn may_change(&self) -> bool {
        matches!(self.0, Source::File(_))
    }

    /// Reads it.
    ///
    /// # Errors
    /// Returns where it should be and what is wrong there, without what is there.
    pub(super) fn read(&self) -> Result<Arc<str>, String> {
        let (place, text) = match &self.0 {
            Source::Value(value) => ("it".to_owned(), value.to_string()),
            Source::File(path) => {
                let place = path.display().to_string();
                let mut text = String::new();
                let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
                read.map_err(|error| format!("{place} cannot be read: {error}"))?;
                (place, text)
            }
            Source::Environment(name) => {
                let place = format!("the variable {name}");
                let text = std::env::var(name).map_err(|error| match error {
                    std::env::VarError::NotPresent => format!("{place} is not set"),
                    std::env::VarError::NotUnicode(_) => format!("{place} is not UTF-8"),
                })?;
                (place, text)
            }
        };
        let text = text.trim();
        match token::problem(text) {
            None => Ok(text.into()),
            Some(_) if text.is_empty() => Err(format!("{place} is empty")),
            Some(_) => Err(format!("{place} has a control character in it")),
        }
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::value(value)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::value(value)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::Value(one), Source::Value(other)) => token::is(one, other.as_bytes()),
            (Source::File(one), Source::File(other)) => one == other,
            (Source::Environment(one), Source::Environment(other)) => one == other,
            (Source::Value(_) | Source::File(_) | Source::Environment(_), _) => false,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Value(_) => f.write_str("Secret(..)"),
            Source::File(path) => write!(f, "Secret(file {})", path.display()),
            Source::Environment(name) => write!(f, "Secret(variable {name})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_the_line_break_of_its_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "hunter2\n").expect("writes");
        assert_eq!(Secret::file(&path).read().as_deref(), Ok("hunter2"));
        assert_eq!(Secret::value("hunter2").read().as_deref(), Ok("hunter2"));
    }

    #[test]
    fn an_error_says_where_and_never_what() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        let error = |text: &str| {
            std::fs::write(&path, text).expect("writes");
            Secret::file(&path).read().expect_err(text)
        };
        for (text, expected) in
            [("", "is empty"), (" \n", "is empty"), ("hunter2\nhunter3", "has a control character in it")]
        {
            let error = error(text);
            assert!(error.ends_with(expected) && !error.contains("hunter"), "{error}");
        }
        let missing = Secret::file(directory.path().join("missing")).read().expect_err("no file");
        assert!(missing.contains("missing cannot be read: "), "{missing}");
        let unset = Secret::env("PINCHPOINT_TEST_OF_NO_SUCH_VARIABLE").read().expect_err("not set");
        assert!(unset.ends_with("is not set"), "{unset}");
    }

    #[test]
    fn secrets_are_compared_and_not_shown() {
        assert_eq!(Secret::value("a"), Secret::value("a"));
        assert_ne!(Secret::value("a"), Secret::value("b"));
        assert_ne!(Secret::value("a"), Secret::file("a"));
        assert_eq!(format!("{:?}", [Secret::value("hunter2"), Secret::env("X")]), "[Secret(..), Secret(variable X)]");
    }
}
