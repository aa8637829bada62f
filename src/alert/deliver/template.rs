//! [`Format`]: how a message becomes JSON: Alertmanager's format, or a template of any shape.
//!
//! A template is a JSON document. In its texts `{name}` stands for a value, as in the texts of rules; an item `{"each": …}` of a
//! list is repeated for each alert. The invariant that a change could break: a value never becomes anything but a part of a text,
//! so that no name of a route and no statement can change what a message is.

use serde_json::{Map, Value};

use super::{
    message::{Item, Message},
    notice::{ADVICE, CAUSE, EVIDENCE},
    rfc3339,
};
use crate::{
    names,
    rules::{
        Severity, Template, TemplateError,
        alert_labels::{DESCRIPTION, RUNBOOK_URL, SUMMARY},
    },
};

/// The key of what is repeated for each alert.
const EACH: &str = "each";
/// For Slack, and what takes its messages: Mattermost, Rocket.Chat, Discord's `/slack` addresses.
const SLACK: &str = include_str!("templates/slack.json");

/// Names of values of the whole message.
const OF_MESSAGE: &[&str] =
    &["status", "title", "text", "severity", "count", "firing", "resolved", "job", "instance", "time"];
/// Names of values of one alert.
const OF_ALERT: &[&str] = &[
    "status",
    "severity",
    "rule",
    "subject",
    "summary",
    "text",
    "description",
    "cause",
    "evidence",
    "advice",
    "runbook_url",
    "color",
    "began",
    "ended",
    "fingerprint",
    "job",
    "instance",
];

/// How a message is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// As Alertmanager's webhook.
    Full,
    Template(MessageTemplate),
}

impl Format {
    /// Returns the ready format of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "full" => Some(Self::Full),
            "slack" => {
                let template = MessageTemplate::parse(SLACK).expect("a test reads it");
                Some(Self::Template(MessageTemplate { escapes: true, ..template }))
            }
            _ => None,
        }
    }

    /// Writes a message for a receiver.
    pub(super) fn render(&self, message: &Message, receiver: &str) -> Value {
        match self {
            Self::Full => message.full(receiver),
            Self::Template(template) => template.render(message),
        }
    }
}

/// A JSON document with placeholders.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MessageTemplate {
    root: Part,
    /// Whether values are escaped as Slack asks for: <https://docs.slack.dev/messaging/formatting-message-text/#escaping>.
    escapes: bool,
}

/// One node of the document.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Plain(Value),
    Text(Template),
    List(Vec<Part>),
    Map(Vec<(String, Part)>),
    Each(Box<Part>),
}

impl MessageTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// Returns what is wrong with it, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
        Ok(Self { root: part(&document, "", OF_MESSAGE)?, escapes: false })
    }

    fn render(&self, message: &Message) -> Value {
        let of_message = |name: &'static str| Some(self.escaped(of_message(message, name)));
        self.write(&self.root, message, &of_message)
    }

    fn write(&self, part: &Part, message: &Message, value: &dyn Fn(&'static str) -> Option<String>) -> Value {
        match part {
            Part::Plain(plain) => plain.clone(),
            Part::Text(template) => template.render_all(value).into(),
            Part::Map(entries) => entries
                .iter()
                .map(|(key, part)| (key.clone(), self.write(part, message, value)))
                .collect::<Map<_, _>>()
                .into(),
            Part::List(items) => {
                let written = items.iter().flat_map(|item| match item {
                    Part::Each(each) => {
                        let alerts = message.alerts.iter();
                        alerts
                            .map(|item| {
                                let of_alert = |name: &'static str| Some(self.escaped(of_alert(message, item, name)));
                                self.write(each, message, &of_alert)
                            })
                            .collect()
                    }
                    other => vec![self.write(other, message, value)],
                });
                written.collect()
            }
            // Outside of a list it is refused.
            Part::Each(_) => Value::Null,
        }
    }

    fn escaped(&self, text: String) -> String {
        if !self.escapes {
            return text;
        }
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }
}

/// Reads a node; `at` is its place as a JSON pointer.
fn part(node: &Value, at: &str, names: &[&'static str]) -> Result<Part, String> {
    let place = || if at.is_empty() { "/".to_owned() } else { at.to_owned() };
    match node {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Part::Plain(node.clone())),
        Value::String(text) => {
            let template =
                Template::parse(text, names).map_err(|error| format!("at {}: {}", place(), wrong(&error, names)))?;
            Ok(Part::Text(template))
        }
        Value::Array(items) => {
            let item = |(index, item): (usize, &Value)| match item.as_object().and_then(|item| item.get(EACH)) {
                Some(each) if item.as_object().is_some_and(|item| item.len() == 1) => {
                    if names != OF_MESSAGE {
                        return Err(format!("at {at}/{index}: \"{EACH}\" within \"{EACH}\""));
                    }
                    Ok(Part::Each(Box::new(part(each, &format!("{at}/{index}/{EACH}"), OF_ALERT)?)))
                }
                Some(_) => Err(format!("at {at}/{index}: \"{EACH}\" beside other keys; expected it alone")),
                None => part(item, &format!("{at}/{index}"), names),
            };
            Ok(Part::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?))
        }
        Value::Object(entries) if entries.contains_key(EACH) => {
            Err(format!("at {}: \"{EACH}\" outside of a list; expected it as an item of one", place()))
        }
        Value::Object(entries) => {
            let entry = |(key, node): (&String, &Value)| {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                Ok((key.clone(), part(node, &at, names)?))
            };
            Ok(Part::Map(entries.iter().map(entry).collect::<Result<_, String>>()?))
        }
    }
}

/// Says what is wrong with a text, and where a value belongs that is known elsewhere.
fn wrong(error: &TemplateError, names: &[&'static str]) -> String {
    let elsewhere = match error {
        TemplateError::Unknown { found, .. } if names == OF_MESSAGE && OF_ALERT.contains(&found.as_str()) => {
            format!(" ({{{found}}} is one alert's: it may stand within {{\"{EACH}\": …}})")
        }
        _ => String::new(),
    };
    format!("{error}{elsewhere}")
}

fn of_message(message: &Message, name: &str) -> String {
    let firing = message.firing();
    let worst = message.alerts.iter().map(|item| item.notice.severity).max().unwrap_or(Severity::Low);
    match name {
        "status" => message.status().to_owned(),
        "title" => title(message),
        "text" => message.alerts.iter().map(line).collect::<Vec<_>>().join("\n"),
        "severity" => worst.to_string(),
        "count" => message.alerts.len().to_string(),
        "firing" => firing.to_string(),
        "resolved" => (message.alerts.len() - firing).to_string(),
        "time" => rfc3339(message.at),
        of_service => label(message, of_service),
    }
}

fn label(message: &Message, name: &str) -> String {
    message.identity.labels.get(name).cloned().unwrap_or_default()
}

/// Returns one line about one alert.
fn line(item: &Item) -> String {
    format!("[{}] {}", item.status().to_uppercase(), item.notice.annotation(SUMMARY))
}

/// Returns one line about all of it, such as `[FIRING: 2, RESOLVED: 1] shop on web-1`.
fn title(message: &Message) -> String {
    let firing = message.firing();
    let resolved = message.alerts.len() - firing;
    let counts = [("FIRING", firing), ("RESOLVED", resolved)].into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts.map(|(word, count)| format!("{word}: {count}")).collect();
    let more = if message.left_out > 0 { format!(" and {} more", message.left_out) } else { String::new() };
    let (job, instance) = (label(message, JOB), label(message, INSTANCE));
    let on = if instance.is_empty() { String::new() } else { format!(" on {instance}") };
    format!("[{}{more}] {job}{on}", counts.join(", ")).trim_end().to_owned()
}

/// Label: the service, as Prometheus calls it.
pub(crate) const JOB: &str = "job";
/// Label: one process of it.
pub(crate) const INSTANCE: &str = "instance";

fn of_alert(message: &Message, item: &Item, name: &str) -> String {
    let notice = &item.notice;
    match name {
        "status" => item.status().to_owned(),
        "severity" => notice.severity.to_string(),
        "rule" => notice.label(names::RULE).to_owned(),
        "subject" => notice.label(names::SUBJECT).to_owned(),
        "summary" => line(item),
        "text" => text(item),
        "description" => notice.annotation(DESCRIPTION).to_owned(),
        "cause" => notice.annotation(CAUSE).to_owned(),
        "evidence" => notice.annotation(EVIDENCE).to_owned(),
        "advice" => notice.annotation(ADVICE).to_owned(),
        "runbook_url" => notice.annotation(RUNBOOK_URL).to_owned(),
        "color" => color(item).to_owned(),
        "began" => rfc3339(notice.began),
        "ended" => item.ended.map(rfc3339).unwrap_or_default(),
        "fingerprint" => format!("{:016x}", notice.id),
        of_service => label(message, of_service),
    }
}

/// Returns what is known about an alert, one thing a line. Of one that ended only that it did.
fn text(item: &Item) -> String {
    let of_firing = [DESCRIPTION, CAUSE, EVIDENCE, ADVICE];
    let lines = of_firing.into_iter().filter(|_| item.ended.is_none()).map(|name| item.notice.annotation(name));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    match item.ended {
        None => lines.join("\n"),
        Some(ended) => format!("Began {}, ended {}", rfc3339(item.notice.began), rfc3339(ended)),
    }
}

fn color(item: &Item) -> &'static str {
    match (item.ended, item.notice.severity) {
        (Some(_), _) => "#2eb67d",
        (None, Severity::Critical) => "#d40e0d",
        (None, Severity::High) => "#e8912d",
        (None, Severity::Medium | Severity::Low) => "#ecb22e",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::alert::deliver::tests::message;

    #[track_caller]
    fn check(template: &str, expected: &Value) {
        let template = MessageTemplate::parse(template).expect(template);
        assert_eq!(template.render(&message()), *expected);
    }

    #[track_caller]
    fn refused(template: &str, expected: &str) {
        let error = MessageTemplate::parse(template).expect_err(template);
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn placeholders_stand_for_values_and_the_rest_stays_as_it_is() {
        check(r#"{"a": 1, "b": [true, null], "c": "{{x}}"}"#, &json!({ "a": 1, "b": [true, null], "c": "{x}" }));
        check(r#"{"t": "{status}: {firing} of {count}"}"#, &json!({ "t": "firing: 1 of 2" }));
        check(r#""{title}""#, &json!("[FIRING: 1, RESOLVED: 1]"));
    }

    #[test]
    fn an_item_is_repeated_for_each_alert_among_the_others() {
        check(
            r#"["first", {"each": {"s": "{subject}", "st": "{status}"}}, "last"]"#,
            &json!(["first", { "s": "GET /a", "st": "firing" }, { "s": "GET /b", "st": "resolved" }, "last"]),
        );
        check(r#"[{"each": "{severity}"}]"#, &json!(["low", "high"]));
    }

    #[test]
    fn a_mistake_is_refused_with_its_place() {
        refused("{", "not valid JSON: EOF while parsing an object at line 1 column 1");
        refused(r#"{"a": {"b/c": ["{titel}"]}}"#, "at /a/b~1c/0: unknown placeholder {titel}; did you mean {title}?");
        refused(r#"{"a": "{subject}"}"#, "it may stand within {\"each\": …}");
        refused(r#"{"a": "{title"}"#, "at /a: \"{\" without its \"}\"");
        refused(r#"{"each": {}}"#, "at /: \"each\" outside of a list");
        refused(r#"[{"each": {}, "x": 1}]"#, "at /0: \"each\" beside other keys");
        refused(r#"[{"each": [{"each": 1}]}]"#, "at /0/each/0: \"each\" within \"each\"");
    }

    #[test]
    fn the_ready_formats_exist_and_slack_gets_its_escapes() {
        assert_eq!(Format::named("full"), Some(Format::Full));
        assert_eq!(Format::named("teams"), None);
        let slack = Format::named("slack").expect("ready");
        let mut message = message();
        message.alerts[0].notice.annotations.insert(DESCRIPTION.to_owned(), "a < b & <!channel>".to_owned());
        let body = slack.render(&message, "chat");
        assert_eq!(body["text"], "[FIRING: 1, RESOLVED: 1]");
        assert_eq!(body["attachments"][0]["text"], "a &lt; b &amp; &lt;!channel&gt;");
        assert_eq!(body["attachments"].as_array().map(Vec::len), Some(2));
        assert_eq!(body["attachments"][1]["title"], "[RESOLVED] slow_endpoint (high): GET /b");
    }

    #[test]
    fn a_value_is_never_more_than_a_text() {
        let template = MessageTemplate::parse(r#"[{"each": "{description}"}]"#).expect("good");
        let mut message = message();
        let evil = "\", \"admin\": true, {title} {\"each\": 1}";
        message.alerts[0].notice.annotations.insert(DESCRIPTION.to_owned(), evil.to_owned());
        assert_eq!(template.render(&message)[0], evil);
    }
}
