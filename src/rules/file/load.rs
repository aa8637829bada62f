//! Rule files: the one place that knows YAML.
//!
//! A text goes through four steps: [`located`] finds where everything stands, [`keys`]
//! reports every key that is wrong, serde_yaml fills the [`entry`](super::entry) types from that tree, and [`build`]
//! checks what they mean. Invariant: rules come out only if no step of any file found anything.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    build,
    builder::Context,
    entry::RuleFile,
    keys,
    located::{self, Node, Value},
    objective,
    position::Position,
    problem::{LoadError, LoadProblem, ProblemKind},
    source::{ReadError, RuleText},
    yaml,
};
use crate::rules::rule::Rule;

/// Loads the rules of some files.
///
/// # Errors
/// Returns every problem of every file.
pub(crate) fn load(texts: &[RuleText], longest_window: Duration) -> Result<Vec<Arc<Rule>>, LoadError> {
    let mut problems = Vec::new();
    let mut rules = Vec::new();
    let mut ids = HashMap::new();
    for RuleText { path, text } in texts {
        match text {
            Ok(text) => {
                let mut file = File { path, longest_window, ids: &mut ids, problems: &mut problems };
                rules.extend(file.read(text).into_iter().map(Arc::new));
            }
            Err(error) => {
                let at = if let ReadError::NotUtf8 { at } = error { Some(*at) } else { None };
                problems.push(LoadProblem {
                    path: path.clone(),
                    at,
                    rule: None,
                    kind: ProblemKind::Unread(error.clone()),
                });
            }
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(LoadError::new(problems)) }
}

struct File<'a> {
    path: &'a Path,
    longest_window: Duration,
    /// Where each id was first seen, over all files.
    ids: &'a mut HashMap<String, (PathBuf, Position)>,
    problems: &'a mut Vec<LoadProblem>,
}

impl File<'_> {
    fn read(&mut self, text: &str) -> Vec<Rule> {
        let root = match located::parse(text) {
            Ok(root) => root.filter(|root| !matches!(root.value, Value::Nothing)),
            Err(error) => {
                self.report(error.at, ProblemKind::Syntax(error.message));
                return Vec::new();
            }
        };
        // An editor truncates a file before it writes it: an empty file must not be taken for "no rules".
        let Some(root) = root else {
            self.report(Position { line: 1, column: 1 }, ProblemKind::EmptyFile);
            return Vec::new();
        };
        self.duplicate_ids(&root);
        let Some((entries, tree)) = self.entries(&root) else { return Vec::new() };
        let lines: Vec<&str> = text.lines().collect();
        let item = |list: &str, index: usize| tree.get(list).and_then(|items| items.item(index));
        let mut rules = Vec::with_capacity(entries.rules.len() + entries.slo.len());
        for (index, entry) in entries.rules.iter().enumerate() {
            let Some(node) = item("rules", index) else { continue };
            rules.extend(build::rule(entry, node, &mut self.context(node, &lines)));
        }
        for (index, entry) in entries.slo.iter().enumerate() {
            let Some(node) = item("slo", index) else { continue };
            rules.extend(objective::rule(entry, node, &mut self.context(node, &lines)));
        }
        rules
    }

    fn context<'b>(&'b mut self, node: &Node, lines: &'b [&'b str]) -> Context<'b> {
        Context {
            path: self.path,
            lines,
            rule: id_of(node),
            longest_window: self.longest_window,
            problems: self.problems,
        }
    }

    fn report(&mut self, at: Position, kind: ProblemKind) {
        self.problems.push(LoadProblem { path: self.path.to_owned(), at: Some(at), rule: None, kind });
    }

    /// Checks the keys and fills the entries, as far as they can be filled, with the tree that they stand in.
    fn entries(&mut self, root: &Node) -> Option<(RuleFile, Node)> {
        let before = self.problems.len();
        let (path, problems) = (self.path, &mut *self.problems);
        let mut ids: Vec<(Position, Option<String>)> = rule_nodes(root).map(|node| (node.at, id_of(node))).collect();
        ids.sort_by_key(|(at, _)| *at);
        let tree = keys::check(root, &keys::FILE, &mut |at, kind| {
            // The last rule that begins before the problem is the one that it is in.
            let rule = ids.iter().rev().find(|(start, _)| *start <= at).and_then(|(_, id)| id.clone());
            problems.push(LoadProblem { path: path.to_owned(), at: Some(at), rule, kind });
        })?;
        // The rest of a file with a mistake is still checked, so that one look finds all mistakes.
        match yaml::from_value(tree.to_yaml()) {
            Ok(entries) => Some((entries, tree)),
            Err(error) => {
                if self.problems.len() == before {
                    self.report(tree.at, ProblemKind::Syntax(error.to_string()));
                }
                None
            }
        }
    }

    /// Reports ids that were seen before, over the tree as it was written: a rule with other problems still claims its id.
    fn duplicate_ids(&mut self, root: &Node) {
        for node in rule_nodes(root) {
            let (Some(id), Some(at)) = (id_of(node), node.get("id").map(|id| id.at)) else { continue };
            if let Some((path, first)) = self.ids.get(&id) {
                // A merged id stands where the merged mapping does.
                let at = if *first == at && *path == self.path { node.at } else { at };
                let kind = ProblemKind::DuplicateId { id, path: path.clone(), first: *first };
                self.report(at, kind);
            } else {
                self.ids.insert(id, (self.path.to_owned(), at));
            }
        }
    }
}

fn rule_nodes(root: &Node) -> impl Iterator<Item = &Node> {
    let lists = ["rules", "slo"].into_iter().filter_map(|list| root.get(list));
    lists.flat_map(|list| if let Value::List(items) = &list.value { items.as_slice() } else { &[] })
}

fn id_of(rule: &Node) -> Option<String> {
    rule.get("id").and_then(Node::as_text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::file::source::RuleTexts;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn load_text(text: &str) -> Result<Vec<Arc<Rule>>, LoadError> {
        load(&[RuleText { path: "rules/x.yaml".into(), text: Ok(text.to_owned()) }], DAY)
    }

    fn fixtures(suffix: &str) -> Vec<PathBuf> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules");
        let mut paths: Vec<_> =
            std::fs::read_dir(dir).expect("fixtures").map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(suffix));
        paths.sort();
        assert!(!paths.is_empty(), "no {suffix}");
        paths
    }

    #[test]
    fn good_files_load() {
        for path in fixtures(".good.yaml") {
            if let Err(error) = load(&RuleTexts::of(&[path]).0, DAY) {
                panic!("{error}");
            }
        }
    }

    /// Each bad file has its exact messages beside it, in a `.txt`; `UPDATE_REFERENCE=1` writes them.
    #[test]
    fn bad_files_say_exactly_what_is_wrong() {
        let mut wrong = Vec::new();
        for path in fixtures(".bad.yaml") {
            let name = PathBuf::from(path.file_name().expect("a name"));
            let text = RuleText { path: name, ..RuleTexts::of(std::slice::from_ref(&path)).0.remove(0) };
            let message = load(&[text], DAY).expect_err("a bad file").to_string() + "\n";
            if std::env::var_os("UPDATE_REFERENCE").is_some() {
                std::fs::write(path.with_extension("txt"), &message).expect("written");
            }
            let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
            if message != expected {
                wrong.push(format!("{} says\n{message}", path.with_extension("txt").display()));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn values_stay_as_they_were_written() {
        let text = "rules:\n  - id: a\n    scope: metric\n    metric: mails_total\n    measure: rate\n    \
                    match: { version: 1.10, dry: True, build: 0x10, year: 2_026, empty: '' }\n    \
                    thresholds: { high: \"> 1/s\" }\n    description: 007\n";
        let rules = load_text(text).expect("a good file");
        let matches = &rules[0].metric.as_ref().expect("a metric").matches;
        for (label, value, other) in
            [("version", "1.10", "1.1"), ("dry", "True", "true"), ("build", "0x10", "16"), ("year", "2_026", "2026")]
        {
            let labels = |name: &str| {
                let kept = [("version", "1.10"), ("dry", "True"), ("build", "0x10"), ("year", "2_026")];
                kept.into_iter().find(|(kept, _)| *kept == name).map(|(_, value)| value)
            };
            assert!(matches.match_labels(labels), "{value}");
            assert!(!matches.match_labels(|name| if name == label { Some(other) } else { labels(name) }), "{other}");
        }
        assert_eq!(rules[0].description.render_all(&|_| None), "007");
    }

    #[test]
    fn the_readme_shows_what_a_typing_error_says() {
        let text = include_str!("../../../rules/endpoints.yaml").replacen(
            "measure: own_avg_duration",
            "measure: own_avg_durration",
            1,
        );
        let error =
            load(&[RuleText { path: "rules/endpoints.yaml".into(), text: Ok(text) }], DAY).expect_err("a mistake");
        assert!(include_str!("../../../README.md").contains(&format!("\n{error}\n")), "{error}");
    }

    #[test]
    fn ids_are_unique_over_all_files() {
        let text = "rules:\n  - id: a\n    scope: process\n    measure: resident_memory\n    \
                    thresholds: { high: \"> 1GB\" }\n    description: x\n";
        let file = |path: &str| RuleText { path: path.into(), text: Ok(text.to_owned()) };
        let error = load(&[file("a.yaml"), file("b.yaml")], DAY).expect_err("a duplicate").to_string();
        assert_eq!(error, "b.yaml:2:9: duplicate rule id \"a\"; first at a.yaml:2:9");
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_hide_the_others() {
        let missing =
            RuleText { path: "a.yaml".into(), text: Err(std::io::Error::from(std::io::ErrorKind::NotFound).into()) };
        let bad = RuleText { path: "b.yaml".into(), text: Ok("rule: []\n".to_owned()) };
        let error = load(&[missing, bad], DAY).expect_err("problems").to_string();
        assert_eq!(
            error,
            "a.yaml: cannot be read: entity not found\n\
             b.yaml:1:1: unknown key \"rule\" in file; did you mean \"rules\"?"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_loader_panic(text in "\\PC{0,200}") {
            // Panicking is what is tested; hardly any of these texts is a rule file.
            let _ = load_text(&text);
        }

        #[test]
        fn no_damage_to_a_good_file_makes_the_loader_panic(
            at in 0_usize..2000,
            cut in 0_usize..40,
            insert in "(\\PC{0,3}|\\n|\\n  |: |\\[|\\{|\"|&a |\\*a ){0,3}",
        ) {
            let mut text = include_str!("../../../rules/endpoints.yaml").to_owned();
            let floor = |text: &str, mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let (start, end) = (floor(&text, at), floor(&text, at + cut));
            text.replace_range(start..end, &insert);
            if let Err(error) = load_text(&text) {
                prop_assert!(error.problems().iter().all(|problem| problem.line().is_some()));
            }
        }
    }
}
