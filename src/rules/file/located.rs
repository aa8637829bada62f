//! YAML with the position of every node.
//!
//! serde_yaml says where a file stops being YAML, but not where a value stood that turned out to be wrong. This tree
//! does, and it keeps duplicate keys, so that each can be reported. Merge keys are resolved ([`merge`]). Positions are those of
//! the text as it was written; an alias stands where its anchor stands.

mod merge;

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::yaml;

pub(crate) use super::position::Position;

/// Deeper than any rule file, and shallow enough to walk recursively.
const DEEPEST: usize = 32;
/// More nodes than aliases of any rule file make, and few enough to hold.
const MOST_ALIASED: usize = 10_000;
/// Longer than any rule file, and short enough to hold.
const MOST_ALIASED_BYTES: usize = 1 << 20;

/// A YAML node and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A scalar without quotes that is empty, `~`, `null`, `Null` or `NULL`.
    Nothing,
    /// The text as it was written; YAML's numbers and booleans are texts too, since units decide what they mean.
    Scalar(String),
    List(Vec<Node>),
    /// Keys in the order of the file, duplicates included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Returns what the node is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Nothing => "empty",
            Value::Scalar(_) => "a plain value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Value::Scalar(text) = &self.value { Some(text) } else { None }
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns a key and its value.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(name, value)| (name, value))
    }

    /// Returns an item of a list.
    pub(crate) fn item(&self, index: usize) -> Option<&Node> {
        if let Value::List(items) = &self.value { items.get(index) } else { None }
    }

    /// Returns the same without the positions.
    pub(crate) fn to_yaml(&self) -> yaml::Value {
        match &self.value {
            Value::Nothing => yaml::Value::Null,
            Value::Scalar(text) => yaml::Value::String(text.clone()),
            Value::List(items) => items.iter().map(Node::to_yaml).collect(),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.to_yaml(), value.to_yaml()));
                yaml::Value::Mapping(entries.collect())
            }
        }
    }

    fn nodes(&self) -> usize {
        match &self.value {
            Value::Nothing | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Node::nodes).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(key, value)| key.nodes() + value.nodes()).sum::<usize>(),
        }
    }

    /// Returns the length of all texts within.
    fn bytes(&self) -> usize {
        match &self.value {
            Value::Nothing => 0,
            Value::Scalar(text) => text.len(),
            Value::List(items) => items.iter().map(Node::bytes).sum(),
            Value::Map(entries) => entries.iter().map(|(key, value)| key.bytes() + value.bytes()).sum(),
        }
    }
}

/// A file that is not YAML, or more YAML than a rule file can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// Parses a text of at most one document; `None` if it has none.
///
/// # Errors
/// Returns the first place where the text stops being YAML.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, SyntaxError> {
    let mut tree = TreeBuilder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let at = Position { line: marker.line(), column: marker.col() + 1 };
            SyntaxError { at, message: error.info().to_owned() }
        })?;
        tree.event(event, position(span))?;
    }
    Ok(tree.root)
}

/// Refuses tags such as `!!str null`: they would change what a plain value means, and no rule needs them.
fn refuse_tag(there: bool, at: Position) -> Result<(), SyntaxError> {
    if there { Err(SyntaxError { at, message: "a tag; expected none".to_owned() }) } else { Ok(()) }
}

fn position(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

#[derive(Default)]
struct TreeBuilder {
    root: Option<Node>,
    /// Collections that are not closed yet, with the anchor of each.
    open: Vec<(Open, Position, usize)>,
    anchors: HashMap<usize, Node>,
    aliased_nodes: usize,
    aliased_bytes: usize,
}

enum Open {
    List(Vec<Node>),
    /// With the key whose value comes next.
    Map(Vec<(Node, Node)>, Option<Node>),
}

impl TreeBuilder {
    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), SyntaxError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    return Err(SyntaxError { at, message: "a second document; expected one a file".to_owned() });
                }
                self.anchors.clear();
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                let nothing =
                    style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let value = if nothing { Value::Nothing } else { Value::Scalar(text.into_owned()) };
                self.close(Node { at, value }, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                self.open(Open::List(Vec::new()), at, anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                self.open(Open::Map(Vec::new(), None), at, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, at, anchor)) = self.open.pop() else { return Ok(()) };
                let value = match open {
                    Open::List(items) => Value::List(items),
                    Open::Map(entries, _) => Value::Map(merge::merged(entries)?),
                };
                self.close(Node { at, value }, anchor);
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(SyntaxError { at, message: "an alias within its own anchor".to_owned() });
                };
                self.aliased_nodes += node.nodes();
                if self.aliased_nodes > MOST_ALIASED {
                    return Err(SyntaxError { at, message: "aliases make too many nodes".to_owned() });
                }
                self.aliased_bytes += node.bytes();
                if self.aliased_bytes > MOST_ALIASED_BYTES {
                    return Err(SyntaxError { at, message: "aliases make too long a text".to_owned() });
                }
                self.close(node, 0);
            }
        }
        Ok(())
    }

    fn open(&mut self, open: Open, at: Position, anchor: usize) -> Result<(), SyntaxError> {
        if self.open.len() == DEEPEST {
            return Err(SyntaxError { at, message: format!("nested deeper than {DEEPEST} levels") });
        }
        self.open.push((open, at, anchor));
        Ok(())
    }

    /// Puts a finished node where it belongs. Anchors are numbered from 1; 0 is none.
    fn close(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(items), ..)) => items.push(node),
            Some((Open::Map(entries, key), ..)) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(node: Option<&Node>) -> (usize, usize) {
        let at = node.expect("a node").at;
        (at.line, at.column)
    }

    #[test]
    fn every_node_knows_where_it_begins() {
        let text = "# comment\nrules:\n  - id: a\n    thresholds: { high: \"> 1s\", low: '< é', x: [1] }\n";
        let root = parse(text).expect("good YAML").expect("a document");
        let rule = root.get("rules").and_then(|rules| rules.item(0));
        assert_eq!(at(rule), (3, 5));
        let rule = rule.expect("a rule");
        assert_eq!(at(rule.get("id")), (3, 9));
        let thresholds = rule.get("thresholds").expect("a mapping");
        assert_eq!(at(thresholds.get("high")), (4, 25));
        assert_eq!(at(thresholds.get("low")), (4, 38));
        assert_eq!(at(thresholds.get("x").and_then(|list| list.item(0))), (4, 49));
        assert_eq!(at(thresholds.entry("x").map(|(key, _)| key)), (4, 45));
    }

    #[test]
    fn duplicate_keys_are_kept() {
        let root = parse("a: 1\nb: 2\na: 3\n").expect("good YAML").expect("a document");
        let Value::Map(entries) = root.value else { panic!("a mapping") };
        assert_eq!(entries.len(), 3);
    }

    #[test]
    fn an_alias_is_its_anchor() {
        let root = parse("a: &x { b: 1 }\nc: *x\n").expect("good YAML").expect("a document");
        assert_eq!(at(root.get("c").and_then(|node| node.get("b"))), (1, 12));
    }

    #[test]
    fn yaml_that_no_rule_file_needs_is_refused() {
        let message = |text: &str| parse(text).expect_err("bad YAML").message;
        assert_eq!(message("a: 1\n---\nb: 2\n"), "a second document; expected one a file");
        assert_eq!(message(&"- ".repeat(100)), "nested deeper than 32 levels");
        let laughs: String = (1..9).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(9))).collect();
        assert_eq!(message(&format!("a0: &a0 [lol]\n{laughs}")), "aliases make too many nodes");
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 16), "*a,".repeat(1000));
        assert_eq!(message(&long), "aliases make too long a text");
        assert_eq!(message("a: !!str null\n"), "a tag; expected none");
        assert_eq!(parse("a: [1\n").expect_err("bad YAML").at.line, 2);
    }

    #[test]
    fn null_is_spelt_in_five_ways() {
        let root = parse("a: [~, null, Null, NULL, nULL, 'null', True, 1.10]\nb:\n").expect("good YAML");
        let root = root.expect("a document");
        let Some(Value::List(items)) = root.get("a").map(|list| &list.value) else { panic!("a list") };
        let texts: Vec<_> = root.get("b").into_iter().chain(items).map(Node::as_text).collect();
        assert_eq!(texts, [None, None, None, None, None, Some("nULL"), Some("null"), Some("True"), Some("1.10")]);
    }

    #[test]
    fn a_text_of_comments_is_no_document() {
        assert!(parse("# only this\n").expect("good YAML").is_none_or(|node| matches!(node.value, Value::Nothing)));
        assert!(parse("").expect("good YAML").is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(- |[a-z]: |\\[|\\]|\\{|\\}|\\n *|\"|'|&a |\\*a|\\| |#|\\PC){0,40}") {
            // Panicking is what is tested.
            let _ = parse(&text);
        }
    }
}
