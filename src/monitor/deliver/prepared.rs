//! [`Prepared`]: the receivers of a monitor, with their secrets and templates read.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::Arc,
    time::Duration,
};

use reqwest::Client;

use super::{
    config::{MOST, TIMEOUT},
    identity,
    receiver::{AlertReceiver, Destination, Endpoint, Place, TemplateSource},
    sender::{self, Sender},
};
use crate::{
    alert::deliver::{Format, MessageTemplate, Options, Target},
    monitor::{BuildError, config::Config},
};

/// Characters of a receiver's name: it is a label.
const LONGEST_NAME: usize = 64;

/// The receivers of a monitor, with their secrets and templates read.
pub(in crate::monitor) struct Prepared {
    pub(in crate::monitor) options: Options,
    pub(in crate::monitor) receivers: Vec<(Arc<str>, Target, Sender)>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.receivers.iter().map(|(name, ..)| name).collect();
        f.debug_struct("Prepared").field("receivers", &names).finish_non_exhaustive()
    }
}

impl Prepared {
    /// Reads what the receivers need.
    ///
    /// # Errors
    /// Returns every receiver that cannot be used, and why.
    pub(in crate::monitor) fn of(config: &Config) -> Result<Self, BuildError> {
        let deliver = &config.deliver;
        if deliver.receivers.len() > MOST {
            let found = format!("a section with {} receivers", deliver.receivers.len());
            return Err(BuildError::Setting { setting: "deliver", found, expected: "32 at most" });
        }
        let identity = identity::of(config, deliver, |variable| std::env::var(variable).ok());
        let options = Options { grace: deliver.grace, resend: deliver.resend, identity };
        let (mut receivers, mut names, mut errors) = (Vec::new(), BTreeMap::new(), Vec::new());
        // One for all, made for the first that needs it: each reads the certificates of the system.
        let client = OnceCell::new();
        for receiver in &deliver.receivers {
            let place = &receiver.place.0;
            let mut problems = Problems::default();
            let prepared = prepare(receiver, &client, &mut problems);
            let of_receiver = || receiver.name.as_deref().map(Arc::from);
            let name = prepared.as_ref().map(|(name, ..)| name.clone()).or_else(of_receiver);
            if let Some(name) = &name {
                match names.entry(name.clone()) {
                    Entry::Vacant(entry) => drop(entry.insert(place)),
                    Entry::Occupied(first) => problems.0.push(same_name(first.get().as_deref())),
                }
            }
            receivers.extend(prepared);
            let name = name.as_deref().unwrap_or("alertmanager");
            errors.extend(problems.0.into_iter().map(|problem| BuildError::Receiver {
                place: place.clone(),
                receiver: name.to_owned(),
                problem,
            }));
        }
        match errors.len() {
            0 => Ok(Self { options, receivers }),
            1 => Err(errors.remove(0)),
            _ => Err(BuildError::Several(errors)),
        }
    }
}

/// What is wrong with a receiver.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    /// Returns what was found; notes the problem where nothing was.
    fn note<T>(&mut self, found: Result<T, String>) -> Option<T> {
        found.map_err(|problem| self.0.push(problem)).ok()
    }

    /// As [`note`](Self::note), of several problems.
    fn note_all<T>(&mut self, found: Result<T, Vec<String>>) -> Option<T> {
        found.map_err(|problems| self.0.extend(problems)).ok()
    }

    fn check(&mut self, is_good: bool, problem: &str) {
        if !is_good {
            self.0.push(problem.to_owned());
        }
    }
}

fn same_name(first: Option<&str>) -> String {
    let first = first.map(|place| format!(", at {place},")).unwrap_or_default();
    format!("another receiver{first} has the same name; expected another name for one of them")
}

/// Reads what a receiver needs; `None` where there is a problem with anything of it.
fn prepare(
    receiver: &AlertReceiver,
    shared: &OnceCell<Client>,
    problems: &mut Problems,
) -> Option<(Arc<str>, Target, Sender)> {
    let AlertReceiver { name, destination, options, timeout, place: Place(_) } = receiver.clone();
    problems.check(TIMEOUT.contains(&timeout), "its timeout is out of range; expected 100ms to 5m");
    problems.check(options.per_minute > 0, "it is sent no message in a minute; expected one at least");
    let is_good =
        |name: &str| !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.contains(char::is_control);
    problems.check(
        name.as_deref().is_none_or(is_good),
        &format!("its name is empty, longer than {LONGEST_NAME} characters or has a control character"),
    );
    let name: Option<Arc<str>> = name.map(Arc::from);
    let (name, target, sender) = match destination {
        Destination::Alertmanager(endpoint) => {
            let (sender, address) = http(endpoint, true, timeout, shared, problems)?;
            (name.unwrap_or_else(|| format!("alertmanager/{address}").into()), Target::Alertmanager, sender)
        }
        Destination::Webhook(endpoint, template) => {
            let (sender, format) = (http(endpoint, false, timeout, shared, problems), problems.note(format(&template)));
            (name?, Target::Channel { kind: "webhook", options, format: format? }, sender?.0)
        }
        Destination::Command(command) => {
            problems.check(command.first().is_some_and(|program| !program.is_empty()), "it has no program to start");
            let target = Target::Channel { kind: "command", options, format: Format::Full };
            (name?, target, Sender::command(command, timeout))
        }
    };
    problems.0.is_empty().then_some((name, target, sender))
}

/// Returns a sender to an address, and what to call it.
fn http(
    endpoint: Endpoint,
    is_alertmanager: bool,
    timeout: Duration,
    shared: &OnceCell<Client>,
    problems: &mut Problems,
) -> Option<(Sender, String)> {
    let of_system = || match shared.get() {
        Some(client) => Ok::<_, String>(client.clone()),
        None => {
            let made = sender::client(None)?;
            Ok(shared.get_or_init(|| made).clone())
        }
    };
    let client = match &endpoint.ca_file {
        // Where the file is wrong, the address and the secrets are still read, to report what is wrong with them.
        Some(file) => problems.note(sender::client(Some(file.as_path()))).or_else(|| of_system().ok()),
        None => problems.note(of_system()),
    };
    problems.note_all(Sender::http(client?, endpoint, is_alertmanager, timeout))
}

fn format(template: &TemplateSource) -> Result<Format, String> {
    match template {
        TemplateSource::Named(name) => Format::named(name).ok_or_else(|| format!("no template is called {name}")),
        TemplateSource::File(path) => {
            let place = path.display();
            let text = std::fs::read_to_string(path).map_err(|error| format!("{place} cannot be read: {error}"))?;
            let template = MessageTemplate::parse(&text).map_err(|error| format!("{place}: {error}"))?;
            Ok(Format::Template(template))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlertReceiver, Monitor, Settings};

    #[track_caller]
    fn error(text: &str) -> String {
        let settings = Settings::parse(text, "shop.yaml").expect(text);
        Prepared::of(&Monitor::builder().settings(settings).config).expect_err(text).to_string()
    }

    #[test]
    fn every_receiver_that_cannot_be_used_is_reported_with_its_place() {
        let error = error(
            "\
deliver:
  alertmanagers:
    - { url: hunter2, bearer_token_env: PINCHPOINT_TEST_OF_NO_SUCH_VARIABLE }
    - http://127.0.0.1:9093
  webhooks:
    - { name: chat, url_file: /no/such/file }
    - { name: chat, url: http://127.0.0.1:1 }
    - { name: tickets, url: http://127.0.0.1:1, template_file: /no/template, ca_file: /no/authority,
        bearer_token_file: /no/token }
    - { name: chat, url: http://127.0.0.1:2 }
  commands:
    - { name: page, command: [\"\"] }
",
        );
        let lines: Vec<_> = error.lines().collect();
        let starts = [
            "shop.yaml:3:7: the receiver of alerts alertmanager cannot be used: its url is not shown",
            "shop.yaml:3:7: the receiver of alerts alertmanager cannot be used: its token: the variable PINCHPOINT_TEST_OF_NO_SUCH_VARIABLE is not set",
            "shop.yaml:6:7: the receiver of alerts chat cannot be used: its url: /no/such/file cannot be read: ",
            "shop.yaml:7:7: the receiver of alerts chat cannot be used: another receiver, at shop.yaml:6:7, has the same name",
            "shop.yaml:8:7: the receiver of alerts tickets cannot be used: its ca_file: /no/authority cannot be read: ",
            "shop.yaml:8:7: the receiver of alerts tickets cannot be used: its token: /no/token cannot be read: ",
            "shop.yaml:8:7: the receiver of alerts tickets cannot be used: /no/template cannot be read: ",
            "shop.yaml:10:7: the receiver of alerts chat cannot be used: another receiver, at shop.yaml:6:7, has the same name",
            "shop.yaml:12:7: the receiver of alerts page cannot be used: it has no program to start",
        ];
        assert_eq!(lines.len(), starts.len(), "{error}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn receivers_of_one_host_have_names_of_their_own() {
        let receivers = [
            AlertReceiver::alertmanager("https://alerts.example/team-a"),
            AlertReceiver::alertmanager("https://alerts.example/team-b"),
            AlertReceiver::alertmanager("https://alerts.example/team-b").named("standby"),
        ];
        let builder = receivers.into_iter().fold(Monitor::builder(), crate::MonitorBuilder::alert_receiver);
        let prepared = Prepared::of(&builder.config).expect("three names");
        let names: Vec<_> = prepared.receivers.iter().map(|(name, ..)| &**name).collect();
        let expected = ["alertmanager/alerts.example:443/team-a", "alertmanager/alerts.example:443/team-b", "standby"];
        assert_eq!(names, expected);
    }

    #[test]
    fn there_are_not_more_receivers_than_labels_allow() {
        let many = (0..=MOST).map(|number| AlertReceiver::command(number.to_string(), "x", [""; 0]));
        let builder = many.fold(Monitor::builder(), crate::MonitorBuilder::alert_receiver);
        let error = Prepared::of(&builder.config).expect_err("too many").to_string();
        assert_eq!(error, format!("deliver is a section with {} receivers; expected {MOST} at most", MOST + 1));
    }
}
