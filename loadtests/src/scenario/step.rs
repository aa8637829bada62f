//! One request of a scenario, with what is expected of its response and what is kept of it.

use std::time::Duration;

use reqwest::{Method, header::HeaderName};

use super::{
    assertion::Expectation,
    capture::Capture,
    json_form::JsonForm,
    names::Names,
    pause::Pause,
    syntax::Syntax,
    template::{Template, TemplateError},
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
    /// Returns a body that is sent as it is written, with its placeholders filled as its language needs it.
    pub(crate) fn text(text: &str, content_type: Option<&str>, names: &Names) -> Result<Self, TemplateError> {
        let syntax = Syntax::of_body(content_type, text);
        Ok(Self { text: Template::parse(text, names, syntax)?, content_type: None })
    }

    /// Returns a JSON body.
    pub(crate) fn json(document: &JsonForm, names: &Names) -> Result<Self, TemplateError> {
        Ok(Self { text: Template::json(document, names)?, content_type: Some("application/json") })
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
    /// The line of the file that gives it this name; `None` where its path is its name.
    pub(crate) named_at: Option<usize>,
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
            named_at: None,
            route,
            headers: Vec::new(),
            payload: None,
            expectation: Expectation::default(),
            captures: Vec::new(),
            pause: None,
            timeout: None,
        }
    }

    /// Whether a placeholder of it stands for one of these slots.
    pub(crate) fn uses(&self, slots: &[usize]) -> bool {
        let headers = self.headers.iter().map(|(_, value)| value);
        let body = self.payload.iter().map(|payload| &payload.text);
        let mut templates = std::iter::once(&self.path).chain(headers).chain(body);
        templates.any(|template| template.slots().any(|slot| slots.contains(&slot)))
    }

    /// Whether it looks at the response's body, which then has to be kept.
    pub(crate) fn needs_body(&self) -> bool {
        self.expectation.needs_body() || !self.captures.is_empty()
    }
}
