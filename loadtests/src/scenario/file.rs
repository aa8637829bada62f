//! Reads scenario files.
//!
//! A file with a mistake is refused whole, and every mistake in it is reported at once, with its line: readers return
//! `None` and add a problem instead of stopping at the first. The format is described in `loadtests/README.md`;
//! `loadtests/scenarios/` has examples.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use regex::Regex;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use thiserror::Error;

use super::{
    address::unsendable,
    assertion::Expectation,
    capture::{Capture, CaptureSource},
    data::{Cursor, RowLifetime, RowOrder, Table},
    flow::{Flow, Steps},
    json_form::JsonForm,
    names::{BUILT_IN, Names},
    node::{Document, Fields, Node, Problem, Problems},
    pause::Pause,
    step::{Payload, Step},
    syntax::Syntax,
    template::Template,
};
use crate::span::parse_span;

const METHODS: [(&str, Method); 7] = [
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
    ("head", Method::HEAD),
    ("options", Method::OPTIONS),
];

/// A scenario file that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ScenarioFileError {
    /// It cannot be read.
    #[error("cannot read scenario file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It has mistakes.
    #[error("{}", ProblemList { path, problems })]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The mistakes.
        problems: Vec<Problem>,
    },
}

struct ProblemList<'a> {
    path: &'a Path,
    problems: &'a [Problem],
}

impl fmt::Display for ProblemList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}:{problem}", self.path.display())?;
        }
        Ok(())
    }
}

/// Reads the scenarios of a file.
pub(crate) fn load_scenarios(path: &Path) -> Result<Vec<Flow>, ScenarioFileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ScenarioFileError::Unreadable { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse_scenarios(&text, &|name| std::fs::read_to_string(folder.join(name)))
        .map_err(|problems| ScenarioFileError::Wrong { path: path.to_owned(), problems })
}

/// Reads a file that a scenario names.
pub(super) type ReadFile<'r> = &'r dyn Fn(&str) -> std::io::Result<String>;

/// Reads the scenarios of a text. `read` reads the files that it names.
pub(super) fn parse_scenarios(text: &str, read: ReadFile<'_>) -> Result<Vec<Flow>, Vec<Problem>> {
    let document = Document::parse(text).map_err(|problem| vec![problem])?;
    let reader = FileReader { problems: Problems::default(), read, cursors: RefCell::default() };
    let flows = reader.file(document.root());
    let problems = reader.problems.into_sorted();
    if problems.is_empty() { Ok(flows) } else { Err(problems) }
}

/// What a scenario inherits from the top of its file.
struct Defaults<'a> {
    headers: Vec<(Node<'a>, Node<'a>)>,
    pause: Pause,
    cookies: bool,
    data: Option<Table>,
}

struct FileReader<'r> {
    problems: Problems,
    read: ReadFile<'r>,
    /// The place of the next row of each data file: scenarios that name one file must not deal its rows twice.
    cursors: RefCell<HashMap<String, Cursor>>,
}

impl FileReader<'_> {
    fn file(&self, root: Node<'_>) -> Vec<Flow> {
        let Some(mut fields) = Fields::of(root, "a scenario file", &self.problems) else { return Vec::new() };
        let defaults = Defaults {
            headers: fields.take("headers").map_or_else(Vec::new, |node| self.mapping(node, "headers")),
            pause: fields.take("think_time").and_then(|node| self.pause(node)).unwrap_or(Pause::NONE),
            cookies: fields.take("cookies").and_then(|node| self.boolean(node)).unwrap_or(true),
            data: fields.take("data").and_then(|node| self.data(node)),
        };
        let scenarios = fields.take("scenarios");
        let node = fields.node();
        fields.finish(&self.problems);
        let Some(scenarios) = scenarios else {
            self.problems.add(node, "no scenarios; expected \"scenarios:\" with a list");
            return Vec::new();
        };
        let Some(list) = scenarios.list().filter(|list| !list.is_empty()) else {
            self.problems.add(scenarios, "expected a list with at least one scenario");
            return Vec::new();
        };
        let flows: Vec<Flow> = list.into_iter().filter_map(|node| self.flow(node, &defaults)).collect();
        for (index, flow) in flows.iter().enumerate() {
            if flows[..index].iter().any(|earlier| earlier.name == flow.name) {
                self.problems.add(scenarios, format!("two scenarios are called \"{}\"", flow.name));
            }
        }
        flows
    }

    fn flow(&self, node: Node<'_>, defaults: &Defaults<'_>) -> Option<Flow> {
        let mut fields = Fields::of(node, "a scenario", &self.problems)?;
        let name = fields.take("name").and_then(|node| self.text(node));
        let weight = fields.take("weight").and_then(|node| self.weight(node)).unwrap_or(1);
        let pause = fields.take("think_time").and_then(|node| self.pause(node)).unwrap_or(defaults.pause);
        let cookies = fields.take("cookies").and_then(|node| self.boolean(node)).unwrap_or(defaults.cookies);
        let mut names = Names::default();
        let table = fields.take("data").map_or_else(|| defaults.data.clone(), |node| self.data(node));
        let data = table.map(|table| table.define(&mut names));
        let start: Vec<Step> = fields
            .take("start")
            .map_or_else(Vec::new, |node| self.steps(node, defaults, &mut names))
            .into_iter()
            .map(|(step, _)| step)
            .collect();
        let steps_node = fields.take("steps");
        let steps = steps_node.map_or_else(Vec::new, |node| self.steps(node, defaults, &mut names));
        fields.finish(&self.problems);
        let Some(name) = name else {
            self.problems.add(node, "a scenario needs a name");
            return None;
        };
        if steps_node.is_none() {
            self.problems.add(node, format!("scenario \"{name}\" has no steps"));
        }
        let steps = if steps.iter().any(|(_, weight)| weight.is_some()) {
            Steps::ByWeight(steps.into_iter().map(|(step, weight)| (step, weight.unwrap_or(1))).collect())
        } else {
            Steps::InOrder(steps.into_iter().map(|(step, _)| step).collect())
        };
        Some(Flow { name, weight, start, steps, pause, cookies, data, names })
    }

    fn steps(&self, node: Node<'_>, defaults: &Defaults<'_>, names: &mut Names) -> Vec<(Step, Option<usize>)> {
        match node.list() {
            Some(list) if !list.is_empty() => {
                list.into_iter().filter_map(|node| self.step(node, defaults, names)).collect()
            }
            _ => {
                self.problems.add(node, "expected a list with at least one step, such as \"- get: /api/products\"");
                Vec::new()
            }
        }
    }

    fn step(&self, node: Node<'_>, defaults: &Defaults<'_>, names: &mut Names) -> Option<(Step, Option<usize>)> {
        let mut fields = Fields::of(node, "a step", &self.problems)?;
        let request = METHODS.iter().find_map(|(key, method)| Some((method.clone(), fields.take(key)?)));
        let name = fields.take("name").and_then(|node| Some((self.text(node)?, node.line())));
        let headers = fields.take("headers").map_or_else(Vec::new, |node| self.mapping(node, "headers"));
        let headers = self.headers(&defaults.headers, headers, names);
        let payload = self.payload(&mut fields, &headers, names);
        let expectation = fields.take("expect").map(|node| self.expectation(node)).unwrap_or_default();
        let capture = fields.take("capture");
        let pause = fields.take("think_time").and_then(|node| self.pause(node));
        let timeout = fields.take("timeout").and_then(|node| self.span(node));
        let weight = fields.take("weight").and_then(|node| self.weight(node));
        if request.is_none() {
            self.problems.add(node, "no request; expected one of get, post, put, patch, delete, head or options");
        }
        fields.finish(&self.problems);
        let (method, path_node) = request?;
        let text = self.text(path_node)?;
        if !text.starts_with('/') && !text.starts_with("{{") {
            self.problems.add(path_node, format!("\"{text}\" is not a path; it must start with \"/\""));
        }
        let path = self.template(path_node, &text, names, Syntax::Path)?;
        if let Some(problem) = unsendable(&text, path.literals()) {
            self.problems.add(path_node, problem);
        }
        let mut step = Step::new(method, &text, path);
        if let Some((name, line)) = name {
            (step.name, step.named_at) = (name, Some(line));
        }
        step.headers = headers;
        step.payload = payload;
        step.expectation = expectation;
        // A step cannot use its own captures, so they are defined after the rest of the step was read.
        step.captures = capture.map_or_else(Vec::new, |node| self.captures(node, names));
        step.pause = pause;
        step.timeout = timeout;
        Some((step, weight))
    }

    fn headers(
        &self,
        defaults: &[(Node<'_>, Node<'_>)],
        own: Vec<(Node<'_>, Node<'_>)>,
        names: &Names,
    ) -> Vec<(HeaderName, Template)> {
        let mut headers: Vec<(HeaderName, Template)> = Vec::new();
        for (key, value) in defaults.iter().copied().chain(own) {
            let Some(name) = key.text().and_then(|text| HeaderName::try_from(text).ok()) else {
                self.problems.add(key, "this is not a header name");
                continue;
            };
            let Some(text) = self.text(value) else { continue };
            let Some(template) = self.template(value, &text, names, Syntax::Plain) else { continue };
            if template.literals().any(|text| HeaderValue::from_str(text).is_err()) {
                self.problems
                    .add(value, "this header cannot be sent: it has a line break or another control character");
            }
            headers.retain(|(known, _)| *known != name);
            headers.push((name, template));
        }
        headers
    }

    fn payload(&self, fields: &mut Fields<'_>, headers: &[(HeaderName, Template)], names: &Names) -> Option<Payload> {
        let (json, body, file) = (fields.take("json"), fields.take("body"), fields.take("body_file"));
        let given: Vec<Node<'_>> = [json, body, file].into_iter().flatten().collect();
        if let [_, second, ..] = given.as_slice() {
            self.problems.add(*second, "a step has one body: json, body or body_file");
        }
        if let Some(node) = json {
            let payload = Payload::json(&self.json(node)?, names);
            return payload.map_err(|error| self.problems.add(node, error.to_string())).ok();
        }
        let (node, text) = if let Some(node) = body {
            (node, self.text(node)?)
        } else {
            let node = file?;
            let name = self.text(node)?;
            let text = (self.read)(&name);
            (node, text.map_err(|error| self.problems.add(node, format!("cannot read {name}: {error}"))).ok()?)
        };
        let content_type =
            headers.iter().find(|(name, _)| name == CONTENT_TYPE).and_then(|(_, value)| value.as_literal());
        let payload = Payload::text(&text, content_type, names);
        payload.map_err(|error| self.problems.add(node, error.to_string())).ok()
    }

    fn expectation(&self, node: Node<'_>) -> Expectation {
        let mut expectation = Expectation::default();
        let Some(mut fields) = Fields::of(node, "expect", &self.problems) else { return expectation };
        for status in fields.take("status").map_or_else(Vec::new, Node::one_or_many) {
            match status.text().unwrap_or_default().parse() {
                Ok(pattern) => expectation.statuses.push(pattern),
                Err(error) => self.problems.add(status, format!("{error}")),
            }
        }
        for text in fields.take("contains").map_or_else(Vec::new, Node::one_or_many) {
            expectation.contains.extend(self.text(text));
        }
        for (path, value) in fields.take("json").map_or_else(Vec::new, |node| self.mapping(node, "json")) {
            match path.text().unwrap_or_default().parse() {
                Ok(parsed) => {
                    expectation.json.extend(self.json(value).map(|document| (parsed, document.to_value())));
                }
                Err(error) => self.problems.add(path, format!("{error}")),
            }
        }
        fields.finish(&self.problems);
        expectation
    }

    fn captures(&self, node: Node<'_>, names: &mut Names) -> Vec<Capture> {
        let mut captures = Vec::new();
        for (key, value) in self.mapping(node, "capture") {
            let name = key.text().unwrap_or_default();
            let Some(mut fields) = Fields::of(value, "where the value is found", &self.problems) else { continue };
            let (json, header, regex) = (fields.take("json"), fields.take("header"), fields.take("regex"));
            fields.finish(&self.problems);
            let source = match (json, header, regex) {
                (Some(node), None, None) => {
                    self.parsed(node, |text| text.parse().map(CaptureSource::Json).map_err(|error| format!("{error}")))
                }
                (None, Some(node), None) => self.parsed(node, |text| {
                    HeaderName::try_from(text)
                        .map(CaptureSource::Header)
                        .map_err(|_| "this is not a header name".to_owned())
                }),
                (None, None, Some(node)) => self.parsed(node, |text| {
                    Regex::new(text).map(CaptureSource::Regex).map_err(|error| format!("{error}"))
                }),
                _ => {
                    self.problems.add(value, "expected one of json, header or regex");
                    None
                }
            };
            if BUILT_IN.contains(&name.as_str()) {
                // It would stand for one thing in the steps before this one, and for another in those after it.
                self.problems
                    .add(key, format!("{{{{ {name} }}}} is built in; choose another name for the captured value"));
            } else if let Some(source) = source {
                captures.push(Capture { slot: names.define_capture(&name), name, source });
            }
        }
        captures
    }

    fn data(&self, node: Node<'_>) -> Option<Table> {
        let mut fields = Fields::of(node, "data", &self.problems)?;
        let file = fields.take("file");
        let orders = [("sequential", RowOrder::Sequential), ("random", RowOrder::Random)];
        let order = fields.take("order").and_then(|node| self.one_of(node, "order", orders));
        let lifetimes = [("iteration", RowLifetime::Iteration), ("user", RowLifetime::User)];
        let lifetime = fields.take("per").and_then(|node| self.one_of(node, "per", lifetimes));
        fields.finish(&self.problems);
        let Some(file) = file else {
            self.problems.add(node, "data needs a file");
            return None;
        };
        let name = self.text(file)?;
        let text =
            (self.read)(&name).map_err(|error| self.problems.add(file, format!("cannot read {name}: {error}"))).ok()?;
        let (order, lifetime) = (order.unwrap_or(RowOrder::Sequential), lifetime.unwrap_or(RowLifetime::Iteration));
        let cursor = self.cursors.borrow_mut().entry(name.clone()).or_default().clone();
        Table::parse(&text, order, lifetime, &cursor)
            .map_err(|error| self.problems.add(file, format!("{name}: {error}")))
            .ok()
    }

    fn one_of<T: Copy>(&self, node: Node<'_>, field: &str, known: [(&str, T); 2]) -> Option<T> {
        let text = self.text(node)?;
        let found = known.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let [first, second] = known.map(|(name, _)| name);
            self.problems.add(node, format!("unknown {field} \"{text}\"; expected {first} or {second}"));
        }
        found.map(|(_, value)| *value)
    }

    fn pause(&self, node: Node<'_>) -> Option<Pause> {
        self.parsed(node, |text| {
            let (least, most) = text.split_once("..").unwrap_or((text, text));
            let pause = Pause {
                least: parse_span(least).map_err(|error| error.to_string())?,
                most: parse_span(most).map_err(|error| error.to_string())?,
            };
            if pause.least <= pause.most { Ok(pause) } else { Err(format!("\"{text}\" ends before it starts")) }
        })
    }

    fn span(&self, node: Node<'_>) -> Option<std::time::Duration> {
        self.parsed(node, |text| parse_span(text).map_err(|error| error.to_string()))
    }

    fn weight(&self, node: Node<'_>) -> Option<usize> {
        let weight =
            node.integer().and_then(|number| usize::try_from(number).ok()).filter(|n| (1..=10_000).contains(n));
        if weight.is_none() {
            self.problems.add(node, "expected a weight from 1 to 10000");
        }
        weight
    }

    fn json(&self, node: Node<'_>) -> Option<JsonForm> {
        let problem =
            "this has no form in JSON; a placeholder needs quotes, and \"{{ name | number }}\" is sent without them";
        node.to_json().map_err(|node| self.problems.add(node, problem)).ok()
    }

    fn boolean(&self, node: Node<'_>) -> Option<bool> {
        let value = node.boolean();
        if value.is_none() {
            self.problems.add(node, "expected true or false");
        }
        value
    }

    fn text(&self, node: Node<'_>) -> Option<String> {
        let value = node.text();
        if value.is_none() {
            self.problems.add(node, "expected a text; put it in quotes if it starts with { or [");
        }
        value
    }

    fn mapping<'n>(&self, node: Node<'n>, what: &str) -> Vec<(Node<'n>, Node<'n>)> {
        node.entries().unwrap_or_else(|| {
            self.problems.add(node, format!("expected {what} as \"key: value\" lines"));
            Vec::new()
        })
    }

    fn template(&self, node: Node<'_>, text: &str, names: &Names, syntax: Syntax) -> Option<Template> {
        Template::parse(text, names, syntax).map_err(|error| self.problems.add(node, error.to_string())).ok()
    }

    fn parsed<T>(&self, node: Node<'_>, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        parse(&self.text(node)?).map_err(|message| self.problems.add(node, message)).ok()
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
