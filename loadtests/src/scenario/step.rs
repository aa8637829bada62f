//! One request of a scenario, with what is expected of its response and what is kept of it.

use std::time::Duration;

use reqwest::{Method, header::HeaderName};
use serde_json::Value;

use super::{
    assertion::Expectation,
    capture::Capture,
    pause::Pause,
    template::{Names, Template, TemplateError},
};

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// Its text.
    pub(crate) text: Template,
    /// The content type that goes with it, unless a header of the step says otherwise.
    pub(crate) content_type: Option<&'static str>,
}

impl Payload {
    /// Returns a body that is sent as it is written, with its placeholders filled.
    pub(crate) fn text(text: &str, names: &Names) -> Result<Self, TemplateError> {
        Ok(Self { text: Template::parse(text, names)?, content_type: None })
    }

    /// Returns a JSON body. A string that consists of `{{ name | number }}` becomes a bare value: YAML has no way to write
    /// a number that is a placeholder.
    pub(crate) fn json(value: &Value, names: &Names) -> Result<Self, TemplateError> {
        let text = unquote_numbers(&value.to_string());
        Ok(Self { text: Template::parse(&text, names)?, content_type: Some("application/json") })
    }
}

/// One request of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The method.
    pub(crate) method: Method,
    /// The path with its query, after the base URL.
    pub(crate) path: Template,
    /// The path part of the name that it is counted under.
    pub(crate) name: String,
    /// The path with placeholders in braces and without its query. The server's route is found by it.
    pub(crate) route: String,
    /// Headers.
    pub(crate) headers: Vec<(HeaderName, Template)>,
    /// Body.
    pub(crate) payload: Option<Payload>,
    /// What is expected of its response.
    pub(crate) expectation: Expectation,
    /// What is kept of its response.
    pub(crate) captures: Vec<Capture>,
    /// The pause after it, instead of the scenario's.
    pub(crate) pause: Option<Pause>,
    /// The longest time to the last byte, instead of `--timeout`.
    pub(crate) timeout: Option<Duration>,
}

impl Step {
    /// Returns a plain request. `path` is the parsed form of `text`, which names the step.
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

    /// Whether it looks at the response's body, which then has to be kept.
    pub(crate) fn needs_body(&self) -> bool {
        self.expectation.needs_body() || !self.captures.is_empty()
    }
}

/// Removes the quotes around `"{{ name | number }}"` in a JSON text.
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
