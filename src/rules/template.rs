//! Texts with placeholders: `"{db_time_ratio} of the time is spent in {top_query}"`.
//!
//! Placeholders are checked when the file is loaded, so that a finding never shows one that cannot be filled.

use thiserror::Error;

use super::suggest::nearest;

/// A text in which `{name}` stands for a value; `{{` and `}}` stand for the brackets themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(&'static str),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum TemplateError {
    #[error("unknown placeholder {{{found}}}; {}", meant(.suggestion, .expected))]
    Unknown { found: String, suggestion: Option<&'static str>, expected: Vec<&'static str> },
    #[error("\"{{\" without its \"}}\"; write {{{{ for the bracket itself")]
    Unclosed,
    #[error("\"}}\" without its \"{{\"; write }}}} for the bracket itself")]
    Unopened,
}

impl TemplateError {
    /// Returns the part of the text that is wrong, so that a message can have its column.
    pub(crate) fn found(&self) -> &str {
        match self {
            Self::Unknown { found, .. } => found,
            Self::Unclosed => "{",
            Self::Unopened => "}",
        }
    }
}

fn meant(suggestion: &Option<&'static str>, expected: &[&'static str]) -> String {
    match suggestion {
        Some(name) => format!("did you mean {{{name}}}?"),
        None => format!("expected one of {}", expected.join(", ")),
    }
}

impl Template {
    /// Parses a text and checks its placeholders.
    ///
    /// # Errors
    /// Returns the first thing that is wrong with it.
    pub(crate) fn parse(text: &str, names: &[&'static str]) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let bracket = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(bracket) {
                plain.push_str(bracket);
                rest = after;
                continue;
            }
            if bracket == "}" {
                return Err(TemplateError::Unopened);
            }
            let Some((found, after)) = rest.split_once('}') else { return Err(TemplateError::Unclosed) };
            rest = after;
            let Some(name) = names.iter().copied().find(|name| *name == found) else {
                return Err(TemplateError::Unknown {
                    found: found.to_owned(),
                    suggestion: nearest(found, names.iter().copied()),
                    expected: names.to_vec(),
                });
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value(name));
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// Fills the placeholders, or returns `None` when one of the values is missing.
    pub(crate) fn render(&self, value: &dyn Fn(&'static str) -> Option<String>) -> Option<String> {
        self.pieces(&str::to_owned, value).collect()
    }

    /// As [`render`](Self::render), with the text between the values written by `plain`.
    #[cfg(feature = "export")]
    pub(crate) fn render_with(
        &self,
        plain: &dyn Fn(&str) -> String,
        value: &dyn Fn(&'static str) -> Option<String>,
    ) -> Option<String> {
        self.pieces(plain, value).collect()
    }

    fn pieces(
        &self,
        plain: &dyn Fn(&str) -> String,
        value: &dyn Fn(&'static str) -> Option<String>,
    ) -> impl Iterator<Item = Option<String>> {
        self.0.iter().map(move |piece| match piece {
            Piece::Text(text) => Some(plain(text)),
            Piece::Value(name) => value(name),
        })
    }

    /// Fills the placeholders, with "unknown" where a value is missing.
    pub(crate) fn render_all(&self, value: &dyn Fn(&'static str) -> Option<String>) -> String {
        let or_unknown = |name| Some(value(name).unwrap_or_else(|| "unknown".to_owned()));
        self.render(&or_unknown).unwrap_or_default()
    }
}

/// As it was written.
impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => f.write_str(&plain.replace('{', "{{").replace('}', "}}"))?,
                Piece::Value(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: &[&str] = &["subject", "value", "top_query"];

    fn value(name: &str) -> Option<String> {
        match name {
            "subject" => Some("GET /users/{id}".to_owned()),
            "value" => Some("1.2s".to_owned()),
            _ => None,
        }
    }

    #[track_caller]
    fn renders(text: &str, expected: Option<&str>) {
        assert_eq!(Template::parse(text, NAMES).expect(text).render(&value).as_deref(), expected);
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        assert_eq!(Template::parse(text, NAMES).expect_err(text).to_string(), message);
    }

    #[test]
    fn placeholders_are_filled_once() {
        renders("Endpoint {subject}: {value}", Some("Endpoint GET /users/{id}: 1.2s"));
        renders("{value}{value}", Some("1.2s1.2s"));
        renders("{{value}} is {value}", Some("{value} is 1.2s"));
        renders("", Some(""));
        renders("index {top_query}", None);
    }

    #[test]
    fn a_text_that_must_be_shown_says_unknown() {
        let template = Template::parse("index {top_query}", NAMES).expect("a good template");
        assert_eq!(template.render_all(&value), "index unknown");
    }

    #[test]
    fn wrong_placeholders_are_refused() {
        refuses("{subjct}", "unknown placeholder {subjct}; did you mean {subject}?");
        refuses("{colour}", "unknown placeholder {colour}; expected one of subject, value, top_query");
        refuses("{value", "\"{\" without its \"}\"; write {{ for the bracket itself");
        refuses("value}", "\"}\" without its \"{\"; write }} for the bracket itself");
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_shown_as_it_was_written(text in "(\\{value\\}|\\{\\{|\\}\\}|[a-z é]|\\PC){0,8}") {
            if let Ok(template) = Template::parse(&text, NAMES) {
                prop_assert_eq!(template.to_string(), text);
            }
        }
    }
}
