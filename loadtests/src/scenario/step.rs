//! One request of a scenario, with what is expected and kept of its response.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::Value;

use super::assertion::Expectation;
use super::capture::Capture;
use super::flow::Pause;
use super::template::{Names, Template, TemplateError};

/// Body of a request.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// Its text.
    pub(crate) text: Template,
    /// Content type that goes with it, unless a header says otherwise.
    pub(crate) content_type: Option<&'static str>,
}

impl Payload {
    /// A body that is sent as it is written, placeholders filled.
    pub(crate) fn text(text: &str, names: &Names) -> Result<Self, TemplateError> {
        Ok(Self { text: Template::parse(text, names)?, content_type: None })
    }

    /// A JSON body; a string that is nothing but `{{ name | number }}` becomes a bare value.
    pub(crate) fn json(value: &Value, names: &Names) -> Result<Self, TemplateError> {
        let text = unquote_numbers(&value.to_string());
        Ok(Self { text: Template::parse(&text, names)?, content_type: Some("application/json") })
    }
}

/// One request of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Method.
    pub(crate) method: Method,
    /// Path with its query, after the base URL.
    pub(crate) path: Template,
    /// Path part of the name it is counted under.
    pub(crate) name: String,
    /// Path with placeholders in braces and without its query, by which the server's route is found.
    pub(crate) route: String,
    /// Headers.
    pub(crate) headers: Vec<(HeaderName, Template)>,
    /// Body.
    pub(crate) payload: Option<Payload>,
    /// What its response must be.
    pub(crate) expectation: Expectation,
    /// What is kept of its response.
    pub(crate) captures: Vec<Capture>,
    /// Pause after it, instead of the scenario's.
    pub(crate) pause: Option<Pause>,
    /// Longest time to its last byte, instead of `--timeout`.
    pub(crate) timeout: Option<Duration>,
}

impl Step {
    /// A plain request of a path as it is written, parsed as `path`.
    pub(crate) fn new(method: Method, text: &str, path: Template) -> Self {
        let route = Template::to_name(text);
        Self {
            method,
            path,
            name: route.clone(),
            route,
            headers: Vec::new(),
            payload: None,
            expectation: Expectation::default(),
            captures: Vec::new(),
            pause: None,
            timeout: None,
        }
    }

    /// Whether the response's body has to be kept.
    pub(crate) fn needs_body(&self) -> bool {
        self.expectation.needs_body() || !self.captures.is_empty()
    }
}

fn unquote_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\"{{") {
        let Some((inner, behind)) = after.split_once("}}\"") else { break };
        let bare = inner.rsplit_once('|').is_some_and(|(_, filter)| filter.trim() == "number") && !inner.contains("}}");
        out.push_str(before);
        let (open, close) = if bare { ("{{", "}}") } else { ("\"{{", "}}\"") };
        out.push_str(open);
        out.push_str(inner);
        out.push_str(close);
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn number_filter_takes_the_quotes_away() {
        let text = json!({"a": "{{ x | number }}", "b": "{{ x }}", "c": "n {{ x | number }}"}).to_string();
        assert_eq!(unquote_numbers(&text), r#"{"a":{{ x | number }},"b":"{{ x }}","c":"n {{ x | number }}"}"#);
    }
}
