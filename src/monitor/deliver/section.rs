//! The text of the setting `deliver` in a settings file.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    DeliverConfig, Secret,
    config::{GRACE, RESEND, TIMEOUT},
    receiver::{AlertReceiver, Authentication, Destination, Place, TemplateSource},
};
use crate::{
    alert::deliver::{OWN_LABELS, is_label_name},
    monitor::settings::{Origin, duration},
    rules::{
        Severity,
        located::{Node, Position, Value},
        meant, nearest,
    },
};

/// What is wrong, and where. No text of it shows a value that may be secret.
type Problems = Vec<(Position, String)>;
/// Reads a receiver of one kind.
type ReadReceiver = fn(&mut Reader<'_>, &Node) -> Option<AlertReceiver>;

const KEYS: &[&str] = &["alertmanagers", "webhooks", "commands", "labels", "grace", "resend"];
/// Of an Alertmanager, and of a webhook beside others.
const ENDPOINT: &[&str] = &[
    "name",
    "url",
    "url_file",
    "url_env",
    "bearer_token_file",
    "bearer_token_env",
    "basic_auth",
    "ca_file",
    "timeout",
];
const TEMPLATE: &[&str] = &["template", "template_file"];
/// Of webhooks and commands.
const CHANNEL: &[&str] = &["min_severity", "resolved", "repeat", "max_per_minute"];
const COMMAND: &[&str] = &["name", "command", "timeout"];
const BASIC: &[&str] = &["user", "password_file", "password_env"];

/// Reads the section. Returns what could be read; it is to be used only where `problems` stays empty.
pub(in crate::monitor) fn read(node: &Node, origin: &Origin<'_>, problems: &mut Problems) -> DeliverConfig {
    let mut config = DeliverConfig::default();
    let mut reader = Reader { origin, problems };
    let Some(section) = reader.mapping(node, "deliver", &[KEYS]) else { return config };
    let kinds: [(&str, ReadReceiver); 3] = [
        ("alertmanagers", |reader, item| reader.alertmanager(item)),
        ("webhooks", |reader, item| reader.webhook(item)),
        ("commands", |reader, item| reader.command(item)),
    ];
    for (key, read) in kinds {
        for item in reader.items(&section, key) {
            let place = Place(Some((origin.place)(item.at)));
            config.receivers.extend(read(&mut reader, item).map(|receiver| AlertReceiver { place, ..receiver }));
        }
    }
    if let Some(labels) = section.get("labels") {
        config.labels = reader.labels(labels);
    }
    if let Some(grace) = reader.duration(&section, "grace", GRACE, "0s to 1h") {
        config.grace = grace;
    }
    if let Some(resend) = reader.duration(&section, "resend", RESEND, "1s to 1h") {
        config.resend = resend;
    }
    config
}

/// A mapping whose keys are known and there once.
struct Section<'a>(BTreeMap<&'a str, &'a Node>, Position);

impl<'a> Section<'a> {
    /// Returns the value of a key, unless it is left out or empty.
    fn get(&self, key: &str) -> Option<&'a Node> {
        self.0.get(key).copied().filter(|node| !matches!(node.value, Value::Nothing))
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

struct Reader<'p> {
    origin: &'p Origin<'p>,
    problems: &'p mut Problems,
}

impl Reader<'_> {
    fn problem(&mut self, at: Position, problem: impl Into<String>) {
        self.problems.push((at, problem.into()));
    }

    fn mapping<'a>(&mut self, node: &'a Node, name: &str, keys: &[&[&str]]) -> Option<Section<'a>> {
        let keys = &keys.concat()[..];
        let Value::Map(entries) = &node.value else {
            self.problem(node.at, format!("{name} is {}; expected a mapping with {}", node.kind(), keys.join(", ")));
            return None;
        };
        let mut section = BTreeMap::new();
        for (key, value) in entries {
            let text = key.as_text().unwrap_or_default();
            if !keys.contains(&text) {
                let meant = meant(&nearest(text, keys.iter().copied()), keys);
                // A secret may have been written where its key belongs: a name is letters and underscores.
                let shown = if is_label_name(text) && text.len() <= 40 { format!(" {text:?}") } else { String::new() };
                self.problem(key.at, format!("unknown key{shown} in {name}; {meant}"));
            } else if section.insert(text, value).is_some() {
                self.problem(key.at, format!("duplicate key {text:?} in {name}"));
            }
        }
        Some(Section(section, node.at))
    }

    fn items<'a>(&mut self, section: &Section<'a>, key: &str) -> &'a [Node] {
        match section.get(key) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => {
                self.problem(node.at, format!("{key} is {}; expected a list", node.kind()));
                &[]
            }
        }
    }

    fn text<'a>(&mut self, section: &Section<'a>, key: &str) -> Option<(&'a str, Position)> {
        let node = section.get(key)?;
        match node.as_text() {
            Some(text) => Some((text, node.at)),
            None => {
                self.problem(node.at, format!("{key} is {}; expected a text", node.kind()));
                None
            }
        }
    }

    fn duration(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<Duration>,
        words: &str,
    ) -> Option<Duration> {
        let (text, at) = self.text(section, key)?;
        let found = duration(text).filter(|duration| range.contains(duration));
        if found.is_none() {
            self.problem(at, format!("{key} is {text:?}; expected a duration from {words}"));
        }
        found
    }

    fn labels(&mut self, node: &Node) -> BTreeMap<String, String> {
        let Value::Map(entries) = &node.value else {
            self.problem(node.at, format!("labels is {}; expected a mapping such as {{ team: shop }}", node.kind()));
            return BTreeMap::new();
        };
        let mut labels = BTreeMap::new();
        for (key, value) in entries {
            let (name, text) = (key.as_text().unwrap_or_default(), value.as_text());
            if !is_label_name(name) {
                self.problem(key.at, "this is no name of a label; expected letters, digits and underscores");
            } else if OWN_LABELS.contains(&name) {
                self.problem(key.at, format!("the label {name} is the alert's own; expected another name"));
            } else if let Some(text) = text {
                labels.insert(name.to_owned(), text.to_owned());
            } else {
                self.problem(value.at, format!("the label {name} is {}; expected a text", value.kind()));
            }
        }
        labels
    }

    /// Returns a path as it is taken from where the settings stand.
    fn path(&self, text: &str) -> PathBuf {
        self.origin.directory.join(text)
    }

    /// Reads one of several ways to give a secret.
    fn secret(&mut self, section: &Section<'_>, keys: &[&str], what: &str, needed: bool) -> Option<Secret> {
        let given: Vec<&str> = keys.iter().copied().filter(|key| section.has(key)).collect();
        let [key] = given[..] else {
            if needed || given.len() > 1 {
                let found = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
                self.problem(section.1, format!("{what} needs one of {}; found {found}", keys.join(", ")));
            }
            return None;
        };
        let node = section.0[key];
        let Some(text) = node.as_text().filter(|text| !text.is_empty()) else {
            let found = if node.as_text().is_some() { "empty" } else { node.kind() };
            self.problem(node.at, format!("{key} is {found}; expected a text"));
            return None;
        };
        Some(match key {
            _ if key.ends_with("_file") => Secret::file(self.path(text)),
            _ if key.ends_with("_env") => Secret::env(text),
            _ => Secret::value(text),
        })
    }

    fn authentication(&mut self, section: &Section<'_>) -> Authentication {
        let token = self.secret(section, &["bearer_token_file", "bearer_token_env"], "the token", false);
        let basic = section.get("basic_auth").and_then(|node| {
            let basic = self.mapping(node, "basic_auth", &[BASIC])?;
            let user = self.text(&basic, "user").map(|(user, _)| user.to_owned());
            if basic.get("user").is_none() {
                self.problem(basic.1, "basic_auth has no user; expected one beside the password");
            }
            let password = self.secret(&basic, &["password_file", "password_env"], "basic_auth", true)?;
            Some(Authentication::Basic { user: user?, password })
        });
        if token.is_some() && basic.is_some() {
            self.problem(section.1, "a token and basic_auth; expected one of them");
        }
        token.map(Authentication::Bearer).or(basic).unwrap_or(Authentication::None)
    }

    /// Reads what Alertmanagers and webhooks have in common, but for their address.
    fn endpoint(&mut self, section: &Section<'_>, receiver: AlertReceiver) -> AlertReceiver {
        let receiver = receiver.authenticated(self.authentication(section));
        match self.text(section, "ca_file") {
            Some((path, _)) => receiver.ca_file(self.path(path)),
            None => receiver,
        }
    }

    fn timeout(&mut self, section: &Section<'_>, receiver: AlertReceiver) -> AlertReceiver {
        match self.duration(section, "timeout", TIMEOUT, "100ms to 5m") {
            Some(timeout) => receiver.timeout(timeout),
            None => receiver,
        }
    }

    /// Reads an Alertmanager: its address, or a mapping.
    fn alertmanager(&mut self, node: &Node) -> Option<AlertReceiver> {
        if let Some(url) = node.as_text() {
            return Some(AlertReceiver::alertmanager(url));
        }
        let section = self.mapping(node, "the Alertmanager", &[ENDPOINT])?;
        let url = self.url(&section, "the Alertmanager");
        let receiver = self.endpoint(&section, AlertReceiver::alertmanager(url));
        let name = self.text(&section, "name").map(|(name, _)| name.to_owned());
        Some(self.timeout(&section, AlertReceiver { name, ..receiver }))
    }

    fn webhook(&mut self, node: &Node) -> Option<AlertReceiver> {
        let section = self.mapping(node, "the webhook", &[ENDPOINT, TEMPLATE, CHANNEL])?;
        let name = self.name(&section, "the webhook");
        let template = self.template(&section);
        let url = self.url(&section, "the webhook");
        let receiver = self.endpoint(&section, AlertReceiver::webhook(name, url).template(template));
        Some(self.channel(&section, receiver))
    }

    fn command(&mut self, node: &Node) -> Option<AlertReceiver> {
        let section = self.mapping(node, "the command", &[COMMAND, CHANNEL])?;
        let name = self.name(&section, "the command");
        let words = self.words(&section);
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        let receiver = AlertReceiver::command(name, *program, arguments.iter().copied());
        Some(self.channel(&section, receiver))
    }

    /// Returns the program of a command and its arguments; none where there is a problem with them.
    fn words<'a>(&mut self, section: &Section<'a>) -> Vec<&'a str> {
        let expected = "expected a list such as [/usr/local/bin/page, --urgent]; no shell reads it";
        let Some(node) = section.get("command") else {
            self.problem(section.1, format!("the command has no key \"command\"; {expected}"));
            return Vec::new();
        };
        let words: Option<Vec<&str>> = match &node.value {
            Value::List(items) if !items.is_empty() => items.iter().map(Node::as_text).collect(),
            _ => None,
        };
        words.unwrap_or_else(|| {
            self.problem(node.at, format!("command is {}; {expected}", node.kind()));
            Vec::new()
        })
    }

    /// Returns an address; an empty one where there is a problem with it, so that all else of the receiver is read too.
    fn url(&mut self, section: &Section<'_>, what: &str) -> Secret {
        let url = self.secret(section, &["url", "url_file", "url_env"], what, true);
        url.unwrap_or_else(|| Secret::value(""))
    }

    /// Returns a name; an empty one where there is a problem with it.
    fn name<'a>(&mut self, section: &Section<'a>, what: &str) -> &'a str {
        let name = self.text(section, "name");
        if name.is_none() && section.get("name").is_none() {
            self.problem(section.1, format!("{what} has no name; expected one, which metrics and status show"));
        }
        name.map_or("", |(name, _)| name)
    }

    fn template(&mut self, section: &Section<'_>) -> TemplateSource {
        let file = self.text(section, "template_file");
        let Some((name, at)) = self.text(section, "template") else {
            return file.map_or(TemplateSource::Named("full"), |(path, _)| TemplateSource::File(self.path(path)));
        };
        if file.is_some() {
            self.problem(at, "template and template_file; expected one of them");
        }
        match name {
            "full" => TemplateSource::Named("full"),
            "slack" => TemplateSource::Named("slack"),
            _ => {
                self.problem(at, format!("template is {name:?}; expected full or slack, or template_file"));
                TemplateSource::Named("full")
            }
        }
    }

    /// Reads what webhooks and commands have in common.
    fn channel(&mut self, section: &Section<'_>, mut receiver: AlertReceiver) -> AlertReceiver {
        if let Some((text, at)) = self.text(section, "min_severity") {
            match Severity::ALL.into_iter().find(|severity| severity.as_str() == text) {
                Some(severity) => receiver = receiver.min_severity(severity),
                None => self.problem(at, format!("min_severity is {text:?}; expected low, medium, high or critical")),
            }
        }
        if let Some((text, at)) = self.text(section, "resolved") {
            match text {
                "true" => {}
                "false" => receiver = receiver.without_resolved(),
                _ => self.problem(at, format!("resolved is {text:?}; expected true or false")),
            }
        }
        let longest = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);
        if section.get("repeat").and_then(Node::as_text) == Some("off") {
            receiver = receiver.without_repeats();
        } else if let Some(repeat) = self.duration(section, "repeat", longest, "1m to 720h, or off") {
            receiver = receiver.repeat_every(repeat);
        }
        if let Some((text, at)) = self.text(section, "max_per_minute") {
            match text.parse().ok().filter(|messages| (1..=600).contains(messages)) {
                Some(messages) => receiver = receiver.max_per_minute(messages),
                None => self.problem(at, format!("max_per_minute is {text:?}; expected a whole number from 1 to 600")),
            }
        }
        debug_assert!(!matches!(receiver.destination, Destination::Alertmanager(_)));
        self.timeout(section, receiver)
    }
}

#[cfg(test)]
#[path = "section_tests.rs"]
mod tests;
