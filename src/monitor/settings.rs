//! [`Settings`]: the builder's settings from a file and the environment.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{Control, MonitorBuilder};
use crate::rules::{Unit, yaml};

/// Prefix of the environment variables.
const PREFIX: &str = "PINCHPOINT_";

/// The settings of a [`MonitorBuilder`] as a YAML file and the environment give them; for programs whose operators set
/// them and not their authors.
///
/// Every key is optional, and each has an environment variable that goes before the file: `evaluation_interval` is
/// `PINCHPOINT_EVALUATION_INTERVAL`, lists are separated by commas.
///
/// ```yaml
/// rules_dir: rules
/// evaluation_interval: 5s
/// sampling_interval: 5s          # or off
/// max_series: 10000
/// max_fingerprints: 1000
/// slow_requests: 10
/// retention: 168h
/// history_bytes: 64MB
/// history_file: pinchpoint.redb  # with the feature `archive`, as are the next two
/// service_name: shop
/// service_version: 1.2.3
/// ignore_paths: ["/health*"]
/// db_system: postgresql
/// control: refused               # or open
/// control_token: a long secret   # goes before `control`
/// ```
///
/// ```
/// use pinchpoint::{Monitor, Settings};
///
/// let settings = Settings::parse("evaluation_interval: 2s\nignore_paths: [\"/health*\"]", "pinchpoint.yaml")?;
/// let builder = Monitor::builder().settings(settings);
/// # Ok::<(), pinchpoint::SettingsError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    rules_dir: Option<PathBuf>,
    evaluation_interval: Option<String>,
    sampling_interval: Option<String>,
    max_series: Option<usize>,
    max_fingerprints: Option<usize>,
    slow_requests: Option<usize>,
    retention: Option<String>,
    history_bytes: Option<String>,
    #[cfg(feature = "archive")]
    history_file: Option<PathBuf>,
    #[cfg(feature = "archive")]
    service_name: Option<String>,
    #[cfg(feature = "archive")]
    service_version: Option<String>,
    ignore_paths: Option<Vec<String>>,
    db_system: Option<String>,
    control: Option<String>,
    control_token: Option<Secret>,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is wrong with settings.
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
    /// The file is no YAML, or has a key or a kind of value that no setting has.
    #[error("{place}: {problem}")]
    Malformed {
        /// The file, with line and column.
        place: String,
        /// What is wrong there, and what was expected.
        problem: String,
    },
    /// A value is none of its setting's.
    #[error("{place}: {setting} is {found:?}; expected {expected}")]
    Value {
        /// The file with its line, or the environment variable.
        place: String,
        /// Which setting.
        setting: &'static str,
        /// What was found.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
}

impl Settings {
    /// Reads the file if there is one to read, then the environment.
    ///
    /// # Errors
    ///
    /// Returns an error with its place for what cannot be read and for every value that is none of its setting's.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut settings = match file {
            None => Self::default(),
            Some(path) => {
                let name = path.display().to_string();
                let unreadable = |source| SettingsError::Unreadable { path: name.clone(), source };
                Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?, &name)?
            }
        };
        settings.override_from(|name| std::env::var(name).ok())?;
        Ok(settings)
    }

    /// Reads the text of a file; `path` is what errors call it.
    ///
    /// # Errors
    ///
    /// Returns an error with line and column for text that is no settings.
    pub fn parse(text: &str, path: &str) -> Result<Self, SettingsError> {
        let parsed: Option<Self> = yaml::from_str(text).map_err(|error| malformed(&error, path))?;
        let settings = parsed.unwrap_or_default();
        settings.check(|setting| {
            // A key stands at the beginning of its line: settings are not nested.
            let is_there =
                |line: &str| line.strip_prefix(setting).is_some_and(|rest| rest.trim_start().starts_with(':'));
            text.lines().position(is_there).map_or(path.to_owned(), |line| format!("{path}:{}", line + 1))
        })?;
        Ok(settings)
    }

    /// Returns the directory of the rules, where one is set.
    #[must_use]
    pub fn rules_dir(&self) -> Option<&Path> {
        self.rules_dir.as_deref()
    }

    fn override_from(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), SettingsError> {
        let get = |setting: &str| variable(&format!("{PREFIX}{}", setting.to_uppercase()));
        let number = |setting: &'static str, value: &mut Option<usize>| match get(setting) {
            None => Ok(()),
            Some(text) => match text.parse() {
                Ok(number) => {
                    *value = Some(number);
                    Ok(())
                }
                Err(_) => Err(SettingsError::Value {
                    place: format!("{PREFIX}{}", setting.to_uppercase()),
                    setting,
                    found: text,
                    expected: "a whole number",
                }),
            },
        };
        number("max_series", &mut self.max_series)?;
        number("max_fingerprints", &mut self.max_fingerprints)?;
        number("slow_requests", &mut self.slow_requests)?;
        let text = |setting: &str, value: &mut Option<String>| *value = get(setting).or(value.take());
        text("evaluation_interval", &mut self.evaluation_interval);
        text("sampling_interval", &mut self.sampling_interval);
        text("retention", &mut self.retention);
        text("history_bytes", &mut self.history_bytes);
        #[cfg(feature = "archive")]
        {
            text("service_name", &mut self.service_name);
            text("service_version", &mut self.service_version);
            self.history_file = get("history_file").map(PathBuf::from).or(self.history_file.take());
        }
        text("db_system", &mut self.db_system);
        text("control", &mut self.control);
        self.control_token = get("control_token").map(Secret).or(self.control_token.take());
        self.rules_dir = get("rules_dir").map(PathBuf::from).or(self.rules_dir.take());
        let list = |text: String| text.split(',').map(|glob| glob.trim().to_owned()).collect();
        self.ignore_paths = get("ignore_paths").map(list).or(self.ignore_paths.take());
        self.check(|setting| format!("{PREFIX}{}", setting.to_uppercase()))
    }

    /// Checks every value; `place` says where a setting's came from.
    fn check(&self, place: impl Fn(&str) -> String) -> Result<(), SettingsError> {
        let wrong = |setting, found: &str, expected| {
            Err(SettingsError::Value { place: place(setting), setting, found: found.to_owned(), expected })
        };
        if let Some(text) = &self.evaluation_interval
            && duration(text).is_none()
        {
            return wrong("evaluation_interval", text, "a duration such as 5s or 500ms");
        }
        if let Some(text) = &self.sampling_interval
            && text != "off"
            && duration(text).is_none()
        {
            return wrong("sampling_interval", text, "a duration such as 5s or 500ms, or off");
        }
        if let Some(text) = &self.retention
            && duration(text).is_none()
        {
            return wrong("retention", text, "a duration such as 24h, at most 168h");
        }
        if let Some(text) = &self.history_bytes
            && bytes(text).is_none()
        {
            return wrong("history_bytes", text, "a size such as 64MB");
        }
        #[cfg(feature = "archive")]
        if let (Some(found), None) | (None, Some(found)) = (&self.service_name, &self.service_version) {
            return wrong("service_name", found, "service_name and service_version together");
        }
        match (self.control.as_deref(), self.control_token.as_ref().map(|Secret(token)| token.as_str())) {
            (_, Some("")) => wrong("control_token", "", "a secret; leave the key out to have none"),
            (None | Some("open" | "refused"), _) => Ok(()),
            (Some(other), _) => wrong("control", other, "open or refused"),
        }
    }
}

/// Tells an error as the rule files' are told: the place first, where editors and terminals find it.
fn malformed(error: &yaml::Error, path: &str) -> SettingsError {
    let text = error.to_string();
    let Some(at) = error.location() else {
        return SettingsError::Malformed { place: path.to_owned(), problem: text };
    };
    let (line, column) = (at.line(), at.column());
    let problem = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
    SettingsError::Malformed { place: format!("{path}:{line}:{column}"), problem }
}

fn duration(text: &str) -> Option<Duration> {
    Unit::Seconds.parse(text).ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn bytes(text: &str) -> Option<usize> {
    Unit::Bytes.parse(text).ok().filter(|bytes| *bytes >= 0.0).map(|bytes| bytes as usize)
}

impl MonitorBuilder {
    /// Takes over every setting that `settings` has.
    pub fn settings(mut self, settings: Settings) -> Self {
        let Settings { rules_dir, evaluation_interval, sampling_interval, ignore_paths, db_system, .. } = settings;
        if let Some(directory) = rules_dir {
            self = self.rules_dir(directory);
        }
        if let Some(interval) = evaluation_interval.as_deref().and_then(duration) {
            self = self.evaluation_interval(interval);
        }
        self = match sampling_interval.as_deref() {
            None => self,
            Some("off") => self.without_sampling(),
            Some(text) => duration(text).into_iter().fold(self, Self::sampling_interval),
        };
        self = settings.max_series.into_iter().fold(self, Self::max_series);
        self = settings.max_fingerprints.into_iter().fold(self, Self::max_fingerprints);
        self = settings.slow_requests.into_iter().fold(self, Self::slow_requests);
        self = settings.retention.as_deref().and_then(duration).into_iter().fold(self, Self::retention);
        self = settings.history_bytes.as_deref().and_then(bytes).into_iter().fold(self, Self::history_bytes);
        #[cfg(feature = "archive")]
        {
            self = settings.history_file.into_iter().fold(self, Self::history_file);
            let service = settings.service_name.zip(settings.service_version);
            self = service.into_iter().fold(self, |builder, (name, version)| builder.service(name, version));
        }
        self = ignore_paths.into_iter().flatten().fold(self, Self::ignore_path);
        self = db_system.into_iter().fold(self, Self::db_system);
        match (settings.control_token, settings.control.as_deref()) {
            (Some(Secret(token)), _) => self.control(Control::token(token)),
            (None, Some("open")) => self.control(Control::Open),
            (None, Some("refused")) => self.control(Control::Refused),
            (None, _) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = Settings::parse(text, "pinchpoint.yaml").expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn no_log_shows_the_token() {
        let settings = Settings::parse("control_token: hunter2hunter2", "f").expect("good");
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    }

    #[test]
    fn wrong_settings_are_refused_with_their_place() {
        refused("evaluation_intervall: 5s", "unknown field `evaluation_intervall`");
        refused("db_system: sqlite\nmax_series: many", "pinchpoint.yaml:2:13: max_series: invalid type");
        refused(
            "# Often.\nevaluation_interval: 5sec",
            "pinchpoint.yaml:2: evaluation_interval is \"5sec\"; expected a duration",
        );
        refused("retention: long", "expected a duration such as 24h");
        refused("history_bytes: much", "expected a size such as 64MB");
        refused("control: maybe", "expected open or refused");
        refused("control_token: \"\"", "expected a secret");
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        assert_eq!(Settings::parse("", "f").expect("empty"), Settings::default());
        assert_eq!(Settings::parse("# nothing yet", "f").expect("a comment"), Settings::default());
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let mut settings = Settings::parse("max_series: 5\ndb_system: mysql", "f").expect("good");
        let variable = |name: &str| match name {
            "PINCHPOINT_MAX_SERIES" => Some("7".to_owned()),
            "PINCHPOINT_IGNORE_PATHS" => Some("/health*, /ready".to_owned()),
            _ => None,
        };
        settings.override_from(variable).expect("good");
        assert_eq!((settings.max_series, settings.db_system.as_deref()), (Some(7), Some("mysql")));
        assert_eq!(settings.ignore_paths, Some(vec!["/health*".to_owned(), "/ready".to_owned()]));
        let error = settings.override_from(|name| (name == "PINCHPOINT_MAX_SERIES").then(|| "x".into()));
        let error = error.expect_err("no number").to_string();
        assert_eq!(error, "PINCHPOINT_MAX_SERIES: max_series is \"x\"; expected a whole number");
    }
}
