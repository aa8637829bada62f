//! [`Settings`]: settings from a YAML file and the environment.
//!
//! What a value means is decided by the row of its setting in [`SETTINGS`]; this room only finds the values and their
//! places. The invariant that a change could break: a [`Settings`] holds valid values only, so that
//! [`MonitorBuilder::settings`](crate::MonitorBuilder::settings) cannot fail.

mod error;
mod read;
mod table;
mod variables;

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Deserializer, de::Error as _};

pub use error::SettingsError;

use super::config::{Config, RulesSource};
use read::Draft;

pub(super) use table::{SETTINGS, host_name, of_token};
#[cfg(feature = "deliver")]
pub(super) use {read::Origin, table::duration};

/// The settings of a [`MonitorBuilder`](crate::MonitorBuilder) from a YAML file and the environment, for services whose
/// operators set them without a new build.
///
/// Pass them to [`MonitorBuilder::settings`](crate::MonitorBuilder::settings).
///
/// ```
/// use pinchpoint::{Monitor, Settings};
///
/// let settings = Settings::parse("evaluation_interval: 2s\nignore_paths: [\"/health*\"]", "pinchpoint.yaml")?;
/// let builder = Monitor::builder().settings(settings);
/// # Ok::<(), pinchpoint::SettingsError>(())
/// ```
///
#[doc = include_str!("reference.md")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The values that are set, among the defaults of the others.
    config: Config,
    /// The keys of those that are set.
    keys: BTreeSet<&'static str>,
}

impl Settings {
    /// Reads `file`, where there is one, and then the environment, whose values replace those of the file.
    ///
    /// # Errors
    ///
    /// Returns an error where the file cannot be read, and every problem of the file and the variables, each with its
    /// place. A variable `PINCHPOINT_…` that is no setting is one, as an unknown key of the file is.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut draft = Draft::default();
        if let Some(path) = file {
            let name = path.display().to_string();
            match std::fs::read_to_string(path) {
                Ok(text) => draft.read_file(&text, &name),
                Err(source) => return Err(SettingsError::Unreadable { path: name, source }),
            }
        }
        draft.read_environment(|variable| std::env::var_os(variable));
        draft.check_variables(std::env::vars_os().map(|(name, _)| name));
        draft.finish()
    }

    /// Reads the text of a file, which errors call `path`. Does not read the environment. The files of receivers of alerts that it
    /// names are looked for in the directory of `path`.
    ///
    /// # Errors
    ///
    /// Returns every problem of the text, each with line and column.
    pub fn parse(text: &str, path: &str) -> Result<Self, SettingsError> {
        let mut draft = Draft::default();
        draft.read_file(text, path);
        draft.finish()
    }

    /// Returns the directory of the rules, where one is set.
    #[must_use]
    pub fn rules_dir(&self) -> Option<&Path> {
        match &self.config.rules {
            RulesSource::Directory(directory) => Some(directory),
            RulesSource::Embedded => None,
        }
    }

    /// Puts what is set into `config`, and returns the keys.
    pub(super) fn put_into(self, config: &mut Config) -> BTreeSet<&'static str> {
        for setting in SETTINGS.iter().filter(|setting| self.keys.contains(setting.key)) {
            (setting.copy)(&self.config, config);
        }
        self.keys
    }
}

/// For a service whose own configuration, in whatever format, contains the monitor's. The environment is not read.
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut draft = Draft::default();
        draft.read_json(&serde_json::Value::deserialize(deserializer)?);
        draft.finish().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
