//! YAML nodes that know their line and column.
//!
//! No other file imports the YAML library. Mappings are read through [`Fields`], which reports every key that its reader
//! does not know: a typo must never become a setting that is silently ignored.

use std::{borrow::Cow, cell::RefCell, fmt};

use saphyr::{MarkedYaml, Scalar, ScanError, YamlData, YamlLoader};
use saphyr_parser::Parser;

use super::{json_form::JsonForm, suggestion::closest};

/// A mistake and its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1.
    pub(crate) column: usize,
    /// What was found and what was expected.
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Collects the problems of a file, so that one run of the check shows all of them.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Adds a problem at a node.
    pub(crate) fn add(&self, node: Node<'_>, message: impl Into<String>) {
        self.0.borrow_mut().push(Problem { line: node.line(), column: node.column(), message: message.into() });
    }

    /// Returns all problems in the order of the file.
    pub(crate) fn into_sorted(self) -> Vec<Problem> {
        let mut problems = self.0.into_inner();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }
}

/// One node of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a>(&'a MarkedYaml<'a>);

/// A parsed YAML text.
#[derive(Debug)]
pub(crate) struct Document<'a>(Vec<MarkedYaml<'a>>);

impl<'a> Document<'a> {
    /// Parses a text that holds one document.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Problem> {
        let problem = |error: &ScanError| Problem {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            message: error.info().to_owned(),
        };
        let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
        // Scalars must keep the text that they were written as: version 1.10 is not 1.1.
        loader.early_parse(false);
        Parser::new_from_str(text).load(&mut loader, true).map_err(|error| problem(&error))?;
        if let Some(error) = loader.error() {
            return Err(problem(error));
        }
        let documents = loader.into_documents();
        match documents.len() {
            1 => Ok(Self(documents)),
            0 => Err(Problem { line: 1, column: 1, message: "the file is empty".to_owned() }),
            _ => Err(Problem { line: 1, column: 1, message: "expected one YAML document in the file".to_owned() }),
        }
    }

    /// Returns the top node.
    pub(crate) fn root(&'a self) -> Node<'a> {
        Node(&self.0[0])
    }
}

impl<'a> Node<'a> {
    /// Returns the line, from 1.
    pub(crate) fn line(self) -> usize {
        self.0.span.start.line()
    }

    /// Returns the column, from 1.
    pub(crate) fn column(self) -> usize {
        self.0.span.start.col() + 1
    }

    /// Returns a scalar as text, numbers and booleans as they are written.
    pub(crate) fn text(self) -> Option<String> {
        match (&self.0.data, self.scalar()?) {
            (_, Scalar::Null) => None,
            // A tag such as !!str makes it a text, as quotes do.
            (_, Scalar::String(text)) => Some(text.into_owned()),
            (YamlData::Representation(text, ..), _) => Some(text.to_string()),
            _ => None,
        }
    }

    /// Returns a scalar's value.
    fn scalar(self) -> Option<Scalar<'a>> {
        match &self.0.data {
            YamlData::Representation(text, style, tag) => {
                Scalar::parse_from_cow_and_metadata(Cow::Borrowed(text.as_ref()), *style, tag.as_ref())
            }
            _ => None,
        }
    }

    /// Returns a boolean.
    pub(crate) fn boolean(self) -> Option<bool> {
        match self.scalar()? {
            Scalar::Boolean(yes) => Some(yes),
            _ => None,
        }
    }

    /// Returns a whole number.
    pub(crate) fn integer(self) -> Option<i64> {
        match self.scalar()? {
            Scalar::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the elements of a list.
    pub(crate) fn list(self) -> Option<Vec<Node<'a>>> {
        match &self.0.data {
            YamlData::Sequence(items) => Some(items.iter().map(Node).collect()),
            _ => None,
        }
    }

    /// Returns the elements of a list, or the node itself as the only element.
    pub(crate) fn one_or_many(self) -> Vec<Node<'a>> {
        self.list().unwrap_or_else(|| vec![self])
    }

    /// Returns the keys and values of a mapping.
    pub(crate) fn entries(self) -> Option<Vec<(Node<'a>, Node<'a>)>> {
        match &self.0.data {
            YamlData::Mapping(map) => Some(map.iter().map(|(key, value)| (Node(key), Node(value))).collect()),
            _ => None,
        }
    }

    /// Returns the node as JSON.
    ///
    /// # Errors
    /// Returns the first node that has no form in JSON. It is most often a placeholder without quotes, which is a mapping of
    /// mappings to YAML.
    pub(crate) fn to_json(self) -> Result<JsonForm, Self> {
        match &self.0.data {
            YamlData::Sequence(items) => {
                items.iter().map(|item| Node(item).to_json()).collect::<Result<_, _>>().map(JsonForm::List)
            }
            YamlData::Mapping(map) => {
                let member = |(key, value): (&'a MarkedYaml<'a>, &'a MarkedYaml<'a>)| {
                    let name = Node(key).text().ok_or(self)?;
                    Ok((name, Node(value).to_json()?))
                };
                map.iter().map(member).collect::<Result<_, _>>().map(JsonForm::Object)
            }
            _ => self.scalar_to_json().ok_or(self),
        }
    }

    fn scalar_to_json(self) -> Option<JsonForm> {
        let as_written = match &self.0.data {
            YamlData::Representation(text, ..) => JsonForm::number(text),
            _ => None,
        };
        match self.scalar() {
            Some(Scalar::String(text)) => Some(JsonForm::Text(text.into_owned())),
            Some(Scalar::Boolean(yes)) => Some(JsonForm::Literal(yes.to_string())),
            Some(Scalar::Integer(number)) => as_written.or_else(|| Some(JsonForm::Literal(number.to_string()))),
            Some(Scalar::FloatingPoint(number)) => {
                as_written.or_else(|| JsonForm::number(&serde_json::Value::from(number.into_inner()).to_string()))
            }
            Some(Scalar::Null) | None => Some(JsonForm::Literal("null".to_owned())),
        }
    }
}

/// The fields of a mapping. A reader takes each field that it knows once, then calls [`Fields::finish`].
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    node: Node<'a>,
    entries: Vec<(Node<'a>, Node<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Returns the fields of a node; reports a node that is not a mapping.
    pub(crate) fn of(node: Node<'a>, what: &str, problems: &Problems) -> Option<Self> {
        match node.entries() {
            Some(entries) => Some(Self { node, entries, known: Vec::new() }),
            None => {
                problems.add(node, format!("expected {what} with fields such as \"name: …\""));
                None
            }
        }
    }

    /// Returns the mapping itself.
    pub(crate) fn node(&self) -> Node<'a> {
        self.node
    }

    /// Returns the value of a field, if the mapping has it.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, _)| name.text().as_deref() == Some(key))?;
        Some(self.entries.remove(at).1)
    }

    /// Reports the fields that were not taken.
    pub(crate) fn finish(self, problems: &Problems) {
        for (key, _) in &self.entries {
            let name = key.text().unwrap_or_default();
            let hint = match closest(&name, &self.known) {
                Some(candidate) => format!("did you mean \"{candidate}\"?"),
                None => format!("expected one of {}", self.known.join(", ")),
            };
            problems.add(*key, format!("unknown field \"{name}\"; {hint}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_line_and_column() {
        let document = Document::parse("a: 1\nb:\n  - x: true\n").unwrap();
        let problems = Problems::default();
        let mut fields = Fields::of(document.root(), "a file", &problems).unwrap();
        let list = fields.take("b").unwrap().list().unwrap();
        assert_eq!((list[0].line(), list[0].column()), (3, 5));
        fields.finish(&problems);
        assert_eq!(problems.into_sorted()[0].to_string(), "1:1: unknown field \"a\"; expected one of b");
    }

    #[test]
    fn broken_yaml_says_where() {
        let problem = Document::parse("a: [1\nb: 2\n").unwrap_err();
        assert!(problem.line >= 2, "{problem}");
        assert_eq!(Document::parse("").unwrap_err().to_string(), "1:1: the file is empty");
    }

    #[test]
    fn a_text_keeps_its_spelling() {
        let document =
            Document::parse("[1.10, 007, 1e3, True, 'x y', \"1.10\", 2026-01-02, null, ~, !!str 5]").unwrap();
        let texts: Vec<_> = document.root().list().unwrap().iter().map(|node| node.text()).collect();
        let texts: Vec<_> = texts.iter().map(|text| text.as_deref().unwrap_or("-")).collect();
        assert_eq!(texts, ["1.10", "007", "1e3", "True", "x y", "1.10", "2026-01-02", "-", "-", "5"]);
        let document = Document::parse("a: 007\nb:\n").unwrap();
        let values: Vec<_> = document.root().entries().unwrap().iter().map(|(_, node)| node.integer()).collect();
        assert_eq!(values, [Some(7), None]);
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        assert!(Document::parse("a: 1\na: 2\n").unwrap_err().message.contains("duplicated key"));
    }

    #[test]
    fn becomes_json() {
        let document = Document::parse("{a: [1, 2.5, x, true, null]}").unwrap();
        let json = document.root().to_json().unwrap();
        assert_eq!(json.to_value(), serde_json::json!({"a": [1, 2.5, "x", true, null]}));
    }

    #[test]
    fn what_json_has_no_form_for_is_found() {
        for (text, column) in [("{a: 1, b: {{ id }}}", 11), ("[x, {{ id }}]", 5), ("[1, .nan]", 5), ("{? [a] : 1}", 1)]
        {
            let document = Document::parse(text).unwrap();
            assert_eq!(document.root().to_json().unwrap_err().column(), column, "{text}");
        }
    }
}
