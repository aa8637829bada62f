//! Text with placeholders: `/api/products/{{ product }}`.
//!
//! Names are resolved to slots when the text is read. An unknown name is therefore an error before the first request, and
//! a known one costs an index lookup while the test runs.

use thiserror::Error;

use super::{random::Random, suggestion::closest};

/// The names that a scenario knows: columns of its data and captured values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// Returns the slot of a name, defining it if it is new.
    pub(crate) fn define(&mut self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }

    /// Returns the slot of a known name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }

    /// Returns the name of a slot.
    pub(crate) fn name(&self, slot: usize) -> &str {
        self.0.get(slot).map_or("", String::as_str)
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// One user's values, by slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<Option<String>>);

impl Values {
    /// Sets the value of a slot.
    pub(crate) fn set(&mut self, slot: usize, value: String) {
        if self.0.len() <= slot {
            self.0.resize(slot + 1, None);
        }
        self.0[slot] = Some(value);
    }

    /// Returns the value of a slot; `None` if nothing has set it yet.
    pub(crate) fn at(&self, slot: usize) -> Option<&str> {
        self.0.get(slot)?.as_deref()
    }
}

/// What placeholders are filled from.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    /// Captured values and data.
    pub(crate) values: &'a Values,
    /// The number of the user, from 1.
    pub(crate) user: usize,
    /// The number of the user's iteration, from 1.
    pub(crate) iteration: u64,
    /// The user's random generator.
    pub(crate) random: &'a mut Random,
}

/// A text whose placeholders have been parsed.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Value { source: ValueSource, filter: Filter },
}

#[derive(Clone, Debug)]
enum ValueSource {
    Slot(usize),
    User,
    Iteration,
    Random(i64, i64),
    Uuid,
}

#[derive(Clone, Copy, Debug)]
enum Filter {
    Plain,
    Url,
    Json,
}

/// A placeholder without a value; holds its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingValue(pub(crate) usize);

/// A text that is not a template.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// `{{` without `}}`.
    #[error("\"{{{{\" is never closed; write {{{{ name }}}}")]
    Unclosed,
    /// Nothing defines the name.
    #[error("unknown name \"{name}\"; {hint}")]
    UnknownName {
        /// As written.
        name: String,
        /// What was probably meant, or which names are known.
        hint: String,
    },
    /// The filter does not exist.
    #[error("unknown filter \"{0}\"; there are url, json and number")]
    UnknownFilter(String),
    /// It is neither a name nor `random(LOW, HIGH)`.
    #[error("\"{0}\" is not understood; expected a name or random(LOW, HIGH)")]
    BadCall(String),
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    NoEnvironment(String),
}

impl Template {
    /// Parses a text. Every name in it must be built in or known.
    pub(crate) fn parse(text: &str, names: &Names) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inner, behind) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            push_text(&mut parts, before);
            match placeholder(inner.trim(), names)? {
                Part::Text(fixed) => push_text(&mut parts, &fixed),
                value @ Part::Value { .. } => parts.push(value),
            }
            rest = behind;
        }
        push_text(&mut parts, rest);
        Ok(Self { parts })
    }

    /// Returns the text if it has no placeholder.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the text with all placeholders filled.
    pub(crate) fn render(&self, scope: &mut Scope<'_>) -> Result<String, MissingValue> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { source, filter } => {
                    let number;
                    let value = match source {
                        ValueSource::Slot(slot) => scope.values.at(*slot).ok_or(MissingValue(*slot))?,
                        ValueSource::User => {
                            number = scope.user.to_string();
                            &number
                        }
                        ValueSource::Iteration => {
                            number = scope.iteration.to_string();
                            &number
                        }
                        ValueSource::Random(low, high) => {
                            number = scope.random.between(*low, *high).to_string();
                            &number
                        }
                        ValueSource::Uuid => {
                            number = uuid(scope.random);
                            &number
                        }
                    };
                    filter.apply(value, &mut out);
                }
            }
        }
        Ok(out)
    }

    /// Returns the text as a name: without its query, and with placeholders in single braces, as in a route.
    pub(crate) fn to_name(text: &str) -> String {
        let path = text.split_once('?').map_or(text, |(path, _)| path);
        replace_placeholders(path, |inner| format!("{{{}}}", inner.split(['|', '(']).next().unwrap_or_default().trim()))
    }
}

/// Returns a text with each placeholder replaced; `with` is given what stands between its braces. A `{{` that is never
/// closed stays as it is.
pub(crate) fn replace_placeholders(text: &str, with: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inner, behind)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&with(inner));
        rest = behind;
    }
    out.push_str(rest);
    out
}

impl Filter {
    fn apply(self, value: &str, out: &mut String) {
        match self {
            Self::Plain => out.push_str(value),
            Self::Url => {
                for byte in value.bytes() {
                    match byte {
                        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
                        other => out.push_str(&format!("%{other:02X}")),
                    }
                }
            }
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if text.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

fn placeholder(inner: &str, names: &Names) -> Result<Part, TemplateError> {
    let (name, filter) = match inner.split_once('|') {
        None => (inner, Filter::Plain),
        Some((name, filter)) => (
            name.trim(),
            match filter.trim() {
                "url" => Filter::Url,
                "json" => Filter::Json,
                // It has a meaning only inside a JSON body, where it removes the quotes; see `Payload::json`.
                "number" => Filter::Plain,
                other => return Err(TemplateError::UnknownFilter(other.to_owned())),
            },
        ),
    };
    let source = if let Some(variable) = name.strip_prefix("env.") {
        let value = std::env::var(variable).map_err(|_| TemplateError::NoEnvironment(variable.to_owned()))?;
        let mut fixed = String::new();
        filter.apply(&value, &mut fixed);
        return Ok(Part::Text(fixed));
    } else if let Some((call, arguments)) = name.split_once('(') {
        let bad = || TemplateError::BadCall(name.to_owned());
        let (low, high) = arguments.strip_suffix(')').and_then(|both| both.split_once(',')).ok_or_else(bad)?;
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| bad());
        match (call.trim(), number(low)?, number(high)?) {
            ("random", low, high) if low <= high => ValueSource::Random(low, high),
            _ => return Err(bad()),
        }
    } else {
        match name {
            "user" => ValueSource::User,
            "iteration" => ValueSource::Iteration,
            "uuid" => ValueSource::Uuid,
            _ => ValueSource::Slot(
                names
                    .find(name)
                    .ok_or_else(|| TemplateError::UnknownName { name: name.to_owned(), hint: hint(name, names) })?,
            ),
        }
    };
    Ok(Part::Value { source, filter })
}

fn hint(name: &str, names: &Names) -> String {
    const BUILT_IN: [&str; 3] = ["user", "iteration", "uuid"];
    let known: Vec<&str> = names.iter().chain(BUILT_IN).collect();
    match closest(name, &known) {
        Some(candidate) => format!("did you mean \"{candidate}\"?"),
        None => format!("known here: {}, random(LOW, HIGH), env.NAME", known.join(", ")),
    }
}

fn uuid(random: &mut Random) -> String {
    let high = (random.bits() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000;
    let low = (random.bits() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(all: &[&str]) -> Names {
        let mut names = Names::default();
        for name in all {
            names.define(name);
        }
        names
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let names = names(&["token", "term"]);
        let mut values = Values::default();
        values.set(0, "abc".to_owned());
        values.set(1, "a b&\"".to_owned());
        let mut random = Random::new(1);
        let mut scope = Scope { values: &values, user: 3, iteration: 9, random: &mut random };
        assert_eq!(Template::parse(text, &names).unwrap().render(&mut scope).unwrap(), expected);
    }

    #[test]
    fn fills_placeholders() {
        check("plain", "plain");
        check("", "");
        check("Bearer {{ token }}", "Bearer abc");
        check("{{token}}{{user}}-{{ iteration }}", "abc3-9");
        check("/search?q={{ term | url }}", "/search?q=a%20b%26%22");
        check("{\"q\":\"{{ term | json }}\"}", "{\"q\":\"a b&\\\"\"}");
        check("{{ random(5, 5) }}", "5");
        check("a }} b", "a }} b");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let names = names(&["token"]);
        let refusal = |text: &str| Template::parse(text, &names).unwrap_err().to_string();
        assert_eq!(refusal("{{ tokn }}"), "unknown name \"tokn\"; did you mean \"token\"?");
        assert_eq!(
            refusal("{{ zzzzzzzz }}"),
            "unknown name \"zzzzzzzz\"; known here: token, user, iteration, uuid, random(LOW, HIGH), env.NAME"
        );
        assert_eq!(refusal("{{ token"), "\"{{\" is never closed; write {{ name }}");
        assert_eq!(refusal("{{ token | up }}"), "unknown filter \"up\"; there are url, json and number");
        assert!(refusal("{{ random(9, 1) }}").starts_with("\"random(9, 1)\" is not understood"));
        assert!(refusal("{{ env.PINCHPOINT_NOT_SET }}").contains("not set"));
    }

    #[test]
    fn name_hides_values_and_query() {
        assert_eq!(Template::to_name("/api/products/{{ product | url }}?page={{ p }}"), "/api/products/{product}");
        assert_eq!(Template::to_name("/items/{{ random(1, 9) }}"), "/items/{random}");
    }

    #[test]
    fn missing_value_names_its_slot() {
        let names = names(&["a", "b"]);
        let values = Values::default();
        let mut random = Random::new(1);
        let mut scope = Scope { values: &values, user: 1, iteration: 1, random: &mut random };
        assert_eq!(Template::parse("{{ b }}", &names).unwrap().render(&mut scope), Err(MissingValue(1)));
    }

    #[test]
    fn uuid_is_of_version_four() {
        let text = uuid(&mut Random::new(1));
        assert_eq!((text.len(), &text[14..15]), (36, "4"));
        assert!("89ab".contains(&text[19..20]));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = Template::parse(&text, &names(&["a"]));
            let _ = Template::to_name(&text);
        }
    }
}
