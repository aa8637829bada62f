//! Names and labels as the API of Kubernetes accepts them, so that a mistake is found before a cluster refuses the file.
//!
//! Source of the forms: "Object Names and IDs" and "Labels and Selectors" of the Kubernetes documentation (RFC 1123).

use std::{fmt, str::FromStr};

/// Longest name of an object; the longest segment of a label is [`MAX_SEGMENT`].
const MAX_NAME: usize = 253;
const MAX_SEGMENT: usize = 63;

/// A text that Kubernetes would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no {what}; expected {expected}")]
#[non_exhaustive]
pub struct InvalidName {
    /// What was given.
    pub found: String,
    /// What it should be.
    pub what: &'static str,
    /// What Kubernetes accepts.
    pub expected: &'static str,
}

/// Name of an object, such as `shop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(String);

/// Name of a namespace or of a label without a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelName(String);

/// Name of a port of a Service or of a container, such as `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortName(String);

/// A label with its value, such as `release=prometheus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectLabel {
    name: String,
    value: String,
}

/// A key of a Secret, such as `shop-monitor:token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    name: ObjectName,
    key: String,
}

fn is_low(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit()
}

/// Returns whether a text has at most `longest` characters that `fits` allows, the first and the last of them by `ends`.
fn has_form(text: &str, longest: usize, ends: fn(char) -> bool, fits: impl Fn(char) -> bool) -> bool {
    text.len() <= longest && text.starts_with(ends) && text.ends_with(ends) && text.chars().all(fits)
}

fn is_segment(text: &str) -> bool {
    has_form(text, MAX_SEGMENT, is_low, |character| is_low(character) || character == '-')
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('.').all(is_segment)
}

fn is_word(text: &str) -> bool {
    let alphanumeric = |character: char| character.is_ascii_alphanumeric();
    has_form(text, MAX_SEGMENT, alphanumeric, |character| alphanumeric(character) || "-_.".contains(character))
}

fn checked(text: &str, is: bool, what: &'static str, expected: &'static str) -> Result<String, InvalidName> {
    let found = text.to_owned();
    if is { Ok(found) } else { Err(InvalidName { found, what, expected }) }
}

impl FromStr for ObjectName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let expected = "lower-case letters, digits, `-` and `.`, with a letter or digit at both ends of each part";
        checked(text, is_name(text), "name of an object", expected).map(Self)
    }
}

impl FromStr for LabelName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let expected = "up to 63 lower-case letters, digits and `-`, with a letter or digit at both ends";
        checked(text, is_segment(text), "name of a namespace", expected).map(Self)
    }
}

impl FromStr for PortName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is = is_segment(text) && text.chars().any(|character| character.is_ascii_lowercase());
        let expected = "the name that the Service or the container gives the port: lower-case letters, digits and `-`";
        checked(text, is, "name of a port", expected).map(Self)
    }
}

impl FromStr for ObjectLabel {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (name, value) = text.split_once('=').unwrap_or((text, "="));
        let (prefix, word) = name.split_once('/').map_or((None, name), |(prefix, word)| (Some(prefix), word));
        let is = prefix.is_none_or(is_name) && is_word(word) && (value.is_empty() || is_word(value));
        checked(text, is, "label", "NAME=VALUE, such as `release=prometheus` or `app.kubernetes.io/name=shop`")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl FromStr for SecretKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let expected = "NAME:KEY of a Secret in the namespace of the monitor, such as `shop-monitor:token`";
        let (name, key) = text.split_once(':').unwrap_or((text, ""));
        let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        let is = !key.is_empty() && key.len() <= MAX_NAME && key.chars().all(fits) && is_name(name);
        checked(text, is, "key of a Secret", expected)?;
        Ok(Self { name: ObjectName(name.to_owned()), key: key.to_owned() })
    }
}

impl ObjectLabel {
    pub(super) fn of_app(name: &ObjectName) -> Self {
        // A name may be longer than a value.
        let value: String = name.0.chars().take(MAX_SEGMENT).collect();
        Self { name: "app.kubernetes.io/name".to_owned(), value: value.trim_end_matches(['-', '.']).to_owned() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }
}

impl SecretKey {
    pub(super) fn name(&self) -> &ObjectName {
        &self.name
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for ObjectLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.name, self.value)
    }
}

macro_rules! is_text {
    ($($name:ty)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

is_text!(ObjectName LabelName PortName);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = InvalidName>>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text:?}");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_those_that_kubernetes_accepts() {
        let long = "a".repeat(64);
        check::<ObjectName>(&["shop", "shop-1.eu", "1"], &["", "Shop", "shop_1", "-shop", "shop.", "a..b", &long]);
        check::<LabelName>(&["monitoring", "team-1"], &["", "team.one", "Team", "-", &long]);
        check::<PortName>(&["http", "metrics-2"], &["", "8000", "Http", "web_"]);
        check::<ObjectLabel>(
            &["release=prometheus", "app.kubernetes.io/name=shop", "a=", "Tier_1=Front.End"],
            &["", "release", "=x", "a=b=c", "a/b/c=d", "a=-b", "Bad.Prefix/a=b", "a=b c"],
        );
        check::<SecretKey>(
            &["shop-monitor:token", "a:b_c.d"],
            &["", "shop-monitor", "shop:", ":token", "A:b", "a:b:c"],
        );
    }

    #[test]
    fn a_mistake_says_what_was_expected() {
        let error = "Shop".parse::<ObjectName>().expect_err("a capital letter").to_string();
        assert!(error.starts_with("\"Shop\" is no name of an object; expected lower-case letters"), "{error}");
    }
}
