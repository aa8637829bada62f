//! The languages that placeholders stand in, and how a value is written so that it stays a value there.
//!
//! A quote in a row of the data must not end the JSON string around it, and an `&` must not begin a further parameter of a
//! query. What a text is written in is known from its place in the scenario, its content type, or its first characters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::placeholder::replace_placeholders;

/// All but the characters that mean the same with and without encoding (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The language of a text with placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// No language that is known: values are written as they are.
    Plain,
    /// A path with its query.
    Path,
    /// JSON, or a line of JSON for each of several documents.
    Json,
    /// `name=value&name=value`.
    Form,
    /// XML or HTML.
    Markup,
}

/// How a value is written at its place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// As it is.
    Plain,
    /// Percent-encoded.
    Percent,
    /// Inside the quotes of a JSON string.
    JsonString,
    /// Where a JSON value is expected: a number stays a number, a text gets quotes.
    JsonValue,
    /// As text or as an attribute of XML.
    Markup,
}

impl Syntax {
    /// Returns the language of a body. Without a content type it is guessed, but nothing else is derived from the guess.
    pub(crate) fn of_body(content_type: Option<&str>, text: &str) -> Self {
        match content_type {
            Some(named) => Self::named(named),
            None => Self::guessed(text),
        }
    }

    fn named(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.contains("json") {
            Self::Json
        } else if kind == "application/x-www-form-urlencoded" {
            Self::Form
        } else if kind.ends_with("xml") || kind == "text/html" {
            Self::Markup
        } else {
            Self::Plain
        }
    }

    fn guessed(text: &str) -> Self {
        // A placeholder may stand inside quotes or alone; a digit is valid in both places.
        let filled = replace_placeholders(text, |_| "0".to_owned());
        let filled = filled.trim();
        if filled.starts_with(['{', '[', '"']) && serde_json::from_str::<serde::de::IgnoredAny>(filled).is_ok() {
            Self::Json
        } else if filled.split('&').all(is_field) {
            Self::Form
        } else if filled.starts_with('<') {
            Self::Markup
        } else {
            Self::Plain
        }
    }
}

/// Whether a text is `name=value` as a form has it.
fn is_field(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.[]%+*".contains(c);
    text.split_once('=').is_some_and(|(name, value)| {
        !name.is_empty() && name.chars().all(is_name) && !value.contains(|c: char| c.is_whitespace() || c == '=')
    })
}

/// Follows a text from placeholder to placeholder and finds out how the value of each is to be written.
#[derive(Debug)]
pub(super) struct Placements {
    syntax: Syntax,
    is_in_string: bool,
    /// The character before the next placeholder.
    before: Option<char>,
}

impl Placements {
    pub(super) fn new(syntax: Syntax) -> Self {
        Self { syntax, is_in_string: false, before: None }
    }

    /// Reads the text up to the next placeholder.
    pub(super) fn read(&mut self, text: &str) {
        if self.syntax == Syntax::Json {
            let mut characters = text.chars();
            while let Some(c) = characters.next() {
                match c {
                    '\\' if self.is_in_string => _ = characters.next(),
                    '"' => self.is_in_string = !self.is_in_string,
                    _ => {}
                }
            }
        }
        self.before = text.chars().next_back().or(self.before);
    }

    /// Returns how the value of the next placeholder is written, before whose end and `after` nothing else stands.
    pub(super) fn next(&mut self, after: &str) -> Placement {
        let (before, after) = (self.before.replace('}'), after.chars().next());
        match self.syntax {
            // What begins a path is a whole path, such as the Location of an earlier response.
            Syntax::Path if before.is_none() => Placement::Plain,
            // And a body that is one placeholder is a whole body.
            Syntax::Form | Syntax::Markup if before.is_none() && after.is_none() => Placement::Plain,
            Syntax::Plain => Placement::Plain,
            Syntax::Path | Syntax::Form => Placement::Percent,
            Syntax::Markup => Placement::Markup,
            Syntax::Json if self.is_in_string => Placement::JsonString,
            Syntax::Json => {
                let is_apart = before.is_none_or(|c| c.is_whitespace() || "[{:,".contains(c))
                    && after.is_none_or(|c| c.is_whitespace() || "]}:,".contains(c));
                // Glued to something, such as a minus sign or a fraction, it can only be a part of a number.
                if is_apart { Placement::JsonValue } else { Placement::Plain }
            }
        }
    }
}

impl Placement {
    /// Writes a value so that it stays one value at this place.
    pub(super) fn write(self, value: &str, out: &mut String) {
        match self {
            Self::Plain => out.push_str(value),
            Self::Percent => push_percent_encoded(value, out),
            Self::JsonString => push_json_escaped(value, out),
            Self::JsonValue if is_bare_json(value) => out.push_str(value),
            Self::JsonValue => {
                out.push('"');
                push_json_escaped(value, out);
                out.push('"');
            }
            Self::Markup => {
                for c in value.chars() {
                    match c {
                        '&' => out.push_str("&amp;"),
                        '<' => out.push_str("&lt;"),
                        '>' => out.push_str("&gt;"),
                        '"' => out.push_str("&quot;"),
                        '\'' => out.push_str("&#39;"),
                        other => out.push(other),
                    }
                }
            }
        }
    }
}

/// Whether a text is a JSON value other than a string: a number, `true`, `null`, a list or an object.
fn is_bare_json(text: &str) -> bool {
    !text.trim_start().starts_with('"') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Writes what stands between the quotes of a JSON string.
pub(super) fn push_json_escaped(value: &str, out: &mut String) {
    let quoted = serde_json::Value::from(value).to_string();
    out.push_str(&quoted[1..quoted.len() - 1]);
}

/// Writes a value in which no character has a meaning for an address or a form.
pub(super) fn push_percent_encoded(value: &str, out: &mut String) {
    out.extend(utf8_percent_encode(value, RESERVED));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(content_type: Option<&str>, text: &str, expected: Syntax) {
        assert_eq!(Syntax::of_body(content_type, text), expected, "{text}");
    }

    #[test]
    fn the_language_of_a_body_is_known() {
        check(Some("application/json; charset=utf-8"), "", Syntax::Json);
        check(Some("application/vnd.api+JSON"), "", Syntax::Json);
        check(Some("application/x-ndjson"), "", Syntax::Json);
        check(Some("application/x-www-form-urlencoded"), "a", Syntax::Form);
        check(Some("image/svg+xml"), "", Syntax::Markup);
        check(Some("text/plain"), "{\"a\": \"{{ a }}\"}", Syntax::Plain);
        check(None, " {\"a\": \"{{ a }}\", \"b\": {{ b }}}\n", Syntax::Json);
        check(None, "user={{ user }}&items[]={{ a }}&empty=\n", Syntax::Form);
        check(None, "<a>{{ a }}</a>", Syntax::Markup);
        check(None, "{{ a }}", Syntax::Plain);
        check(None, "cpu,host={{ a }} value={{ b }}", Syntax::Plain);
        check(None, "{ not json {{ a }}", Syntax::Plain);
        check(None, "a == {{ b }}", Syntax::Plain);
    }

    proptest! {
        #[test]
        fn a_value_in_json_is_the_value_that_is_read_back(value in any::<String>()) {
            let mut text = String::from("{\"a\":\"");
            Placement::JsonString.write(&value, &mut text);
            text.push_str("\",\"b\":");
            Placement::JsonValue.write(&value, &mut text);
            text.push('}');
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read["a"], &serde_json::Value::from(value.as_str()));
            prop_assert!(read["b"] == value.as_str() || is_bare_json(&value));
        }

        #[test]
        fn a_value_in_an_address_is_the_value_that_is_read_back(value in any::<String>()) {
            let mut text = String::from("http://a/?q=");
            Placement::Percent.write(&value, &mut text);
            let url: reqwest::Url = text.parse().unwrap();
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, [("q".to_owned(), value)]);
        }
    }
}
