//! [`Draft`]: settings while they are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::Path,
};

use super::{
    Settings, SettingsError,
    table::{Reader, SETTINGS, Setting},
    variables::unknown,
};
use crate::{
    monitor::token,
    rules::{
        located::{Node, Position, Value, parse},
        meant, nearest,
    },
};

/// Where settings stand.
pub(in crate::monitor) struct Origin<'a> {
    /// Says a place, for errors.
    pub(in crate::monitor) place: &'a dyn Fn(Position) -> String,
    /// The directory of the file; empty, which is the working directory, where they are in none.
    #[cfg_attr(not(feature = "deliver"), expect(dead_code, reason = "only a receiver's files are taken from it"))]
    pub(in crate::monitor) directory: &'a Path,
}

/// The settings read so far, the place of each, and every problem.
#[derive(Debug, Default)]
pub(super) struct Draft {
    settings: Settings,
    places: BTreeMap<&'static str, String>,
    problems: Vec<SettingsError>,
}

impl Draft {
    /// Reads the text of a file, which problems call `path`.
    pub(super) fn read_file(&mut self, text: &str, path: &str) {
        let place = |at: Position| format!("{path}:{}:{}", at.line, at.column);
        let directory = Path::new(path).parent().unwrap_or(Path::new(""));
        match parse(text) {
            Ok(root) => self.read_root(root, &Origin { place: &place, directory }),
            Err(error) => self.malformed(place(error.at), format!("not valid YAML: {}", error.message)),
        }
    }

    /// Reads the monitor's settings from JSON, which is valid YAML.
    pub(super) fn read_json(&mut self, value: &serde_json::Value) {
        // The positions of this text are not those of the file that it came from.
        match parse(&value.to_string()) {
            Ok(root) => {
                let place = |_| "settings".to_owned();
                self.read_root(root, &Origin { place: &place, directory: Path::new("") });
            }
            Err(error) => self.malformed("settings".to_owned(), error.message),
        }
    }

    /// Reads a document. But for sections settings do not nest: its root is a mapping from keys to plain values and lists.
    fn read_root(&mut self, root: Option<Node>, origin: &Origin<'_>) {
        let place = |node: &Node| (origin.place)(node.at);
        let entries = match root {
            // An empty file, or one of comments: every setting has its default.
            None | Some(Node { value: Value::Nothing, .. }) => return,
            Some(Node { value: Value::Map(entries), .. }) => entries,
            Some(root) => {
                let problem = format!("this is {}; expected settings such as max_series: 10000", root.kind());
                return self.malformed(place(&root), problem);
            }
        };
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for (key_node, value) in &entries {
            let key = key_node.as_text().unwrap_or_default();
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
                self.malformed(place(key_node), unknown_key(key));
                continue;
            };
            if let Some(first) = lines.insert(setting.key, key_node.at.line) {
                self.malformed(place(key_node), format!("duplicate key {key:?}; first at line {first}"));
                continue;
            }
            match (&setting.reader, &value.value) {
                // A template without its value must not leave open what a secret was to close.
                (Reader::Secret(_), Value::Nothing) => self.set_text(setting, place(value), ""),
                // A key whose value is left out keeps its default.
                (_, Value::Nothing) => {}
                (Reader::Text(_) | Reader::Secret(_) | Reader::Private(_), Value::Scalar(text)) => {
                    self.set_text(setting, place(value), text)
                }
                #[cfg(feature = "deliver")]
                (Reader::Section(read), _) => {
                    let mut problems = Vec::new();
                    read(value, origin, &mut self.settings.config, &mut problems);
                    self.note(setting, place(value));
                    for (at, problem) in problems {
                        self.malformed((origin.place)(at), problem);
                    }
                }
                (Reader::List(_), Value::List(items)) if items.iter().all(|item| item.as_text().is_some()) => {
                    let items: Vec<_> = items.iter().filter_map(Node::as_text).collect();
                    self.set_list(setting, place(value), &items);
                }
                (_, Value::Scalar(_) | Value::List(_) | Value::Map(_)) => {
                    let problem = format!("{key} is {}; expected {}", value.kind(), setting.expected);
                    self.malformed(place(value), problem);
                }
            }
        }
    }

    /// Reads the variable of each setting with `variable`.
    pub(super) fn read_environment<T: Into<OsString>>(&mut self, variable: impl Fn(&str) -> Option<T>) {
        for setting in SETTINGS {
            let name = setting.variable();
            let Some(text) = variable(&name) else { continue };
            let Ok(text) = text.into().into_string() else {
                self.malformed(name, format!("this is not UTF-8; expected {}", setting.expected));
                continue;
            };
            match setting.reader {
                Reader::Text(_) | Reader::Secret(_) | Reader::Private(_) => self.set_text(setting, name, &text),
                Reader::List(_) => {
                    let items: Vec<_> = text.split(',').map(str::trim).collect();
                    self.set_list(setting, name, &items);
                }
                #[cfg(feature = "deliver")]
                Reader::Section(_) => {
                    // Its problems have places within the variable.
                    let place = |at: Position| format!("{name}:{}:{}", at.line, at.column);
                    let origin = Origin { place: &place, directory: Path::new("") };
                    match parse(&text) {
                        Ok(Some(node)) => {
                            let key = Node { at: node.at, value: Value::Scalar(setting.key.to_owned()) };
                            let root = Node { at: node.at, value: Value::Map(vec![(key, node)]) };
                            self.read_root(Some(root), &origin);
                        }
                        Ok(None) => {}
                        // The parser's message may show what is there.
                        Err(_) => self.malformed(name, format!("not valid YAML; expected {}", setting.expected)),
                    }
                }
            }
        }
    }

    /// Refuses variables that are no settings, though they are named as if they were.
    pub(super) fn check_variables(&mut self, names: impl IntoIterator<Item = OsString>) {
        let names: BTreeSet<_> = names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect();
        for name in names {
            if let Some(problem) = unknown(&name) {
                self.malformed(name, problem);
            }
        }
    }

    /// Returns the settings if there is no problem with any.
    pub(super) fn finish(mut self) -> Result<Settings, SettingsError> {
        self.check_pair("service_name", "service_version");
        match SettingsError::of(self.problems) {
            None => Ok(self.settings),
            Some(error) => Err(error),
        }
    }

    /// Checks that both settings are there or neither. Only now: the file may have one and the environment the other.
    fn check_pair(&mut self, one: &str, other: &str) {
        let (found, missing, place) = match (self.places.get(one), self.places.get(other)) {
            (Some(place), None) => (one, other, place),
            (None, Some(place)) => (other, one, place),
            (Some(_), Some(_)) | (None, None) => return,
        };
        self.malformed(place.clone(), format!("{found} without {missing}; expected both or neither"));
    }

    fn set_text(&mut self, setting: &'static Setting, place: String, text: &str) {
        let (Reader::Text(read) | Reader::Secret(read) | Reader::Private(read)) = setting.reader else { return };
        if read(text, &mut self.settings.config).is_some() {
            return self.note(setting, place);
        }
        let found = match setting.reader {
            Reader::Secret(_) => token::problem(text).unwrap_or("a token that is not accepted"),
            Reader::Private(_) => "not shown, since it may be secret, and not accepted",
            Reader::Text(_) | Reader::List(_) => return self.refuse(setting, place, text.to_owned()),
            #[cfg(feature = "deliver")]
            Reader::Section(_) => return,
        };
        self.malformed(place, format!("{} is {found}; expected {}", setting.key, setting.expected));
    }

    fn set_list(&mut self, setting: &'static Setting, place: String, items: &[&str]) {
        let Reader::List(read) = setting.reader else { return };
        match read(items, &mut self.settings.config) {
            Some(()) => self.note(setting, place),
            None => self.refuse(setting, place, items.join(",")),
        }
    }

    /// Reports a value that the setting does not accept, with the value.
    fn refuse(&mut self, setting: &'static Setting, place: String, found: String) {
        let Setting { key, expected, .. } = *setting;
        self.problems.push(SettingsError::Value { place, setting: key, found, expected });
    }

    fn note(&mut self, setting: &'static Setting, place: String) {
        self.settings.keys.insert(setting.key);
        self.places.insert(setting.key, place);
    }

    fn malformed(&mut self, place: String, problem: String) {
        self.problems.push(SettingsError::Malformed { place, problem });
    }
}

fn unknown_key(found: &str) -> String {
    let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    format!("unknown key {found:?}; {}", meant(&nearest(found, keys.iter().copied()), &keys))
}
