//! [`AlertReceiver`]: who is sent alerts, before its secrets and files are read.

use std::{path::PathBuf, time::Duration};

use super::Secret;
use crate::{alert::deliver::ChannelOptions, rules::Severity};

/// How long a receiver may take to answer: Alertmanager answers in milliseconds, and Prometheus waits as long.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Who is sent alerts about findings: an Alertmanager, a webhook or a command.
///
/// ```
/// use pinchpoint::{AlertReceiver, Monitor, Secret, Severity};
///
/// let builder = Monitor::builder()
///     .alert_receiver(AlertReceiver::alertmanager("http://127.0.0.1:9093"))
///     .alert_receiver(
///         AlertReceiver::webhook("chat", Secret::env("SLACK_WEBHOOK_URL")).slack().min_severity(Severity::High),
///     );
/// # drop(builder);
/// ```
///
/// An Alertmanager gets every alert again and again while it fires, as from a Prometheus. A webhook or a command gets each
/// change once, those of one evaluation in one message.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a receiver is sent nothing until `MonitorBuilder::alert_receiver` has it"]
pub struct AlertReceiver {
    /// `None` for an Alertmanager that is called by its address.
    pub(super) name: Option<String>,
    pub(super) destination: Destination,
    pub(super) options: ChannelOptions,
    pub(super) timeout: Duration,
    pub(super) place: Place,
}

/// Where a receiver stands in the settings, for errors. All are equal: it is no part of what the receiver is.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(pub(super) Option<String>);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Destination {
    /// The address is that of its page.
    Alertmanager(Endpoint),
    Webhook(Endpoint, TemplateSource),
    /// A program and its arguments.
    Command(Vec<String>),
}

/// An address and what lets in there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    pub(super) url: Secret,
    pub(super) authentication: Authentication,
    /// The certificate authorities that may have signed for it; those of the system where there is none.
    pub(super) ca_file: Option<PathBuf>,
}

impl From<Secret> for Endpoint {
    fn from(url: Secret) -> Self {
        Self { url, authentication: Authentication::None, ca_file: None }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Authentication {
    None,
    Bearer(Secret),
    Basic { user: String, password: Secret },
}

/// Where the template of a webhook's messages comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TemplateSource {
    /// A ready one.
    Named(&'static str),
    File(PathBuf),
}

impl AlertReceiver {
    fn new(name: Option<String>, destination: Destination) -> Self {
        Self { name, destination, options: ChannelOptions::default(), timeout: TIMEOUT, place: Place::default() }
    }

    /// Returns an Alertmanager at an address such as `http://127.0.0.1:9093`. Of a cluster add each peer, as for Prometheus. It is
    /// called `alertmanager/` with the host, the port and the path of its address, unless it is [`named`](Self::named).
    pub fn alertmanager(url: impl Into<Secret>) -> Self {
        Self::new(None, Destination::Alertmanager(url.into().into()))
    }

    /// Returns a webhook, which is sent JSON with POST in the format of Alertmanager's webhook. `name` is shown in
    /// `/performance/status` and on `/metrics`.
    pub fn webhook(name: impl Into<String>, url: impl Into<Secret>) -> Self {
        Self::new(Some(name.into()), Destination::Webhook(url.into().into(), TemplateSource::Named("full")))
    }

    /// Returns a command, which is started for each message and reads it as JSON from its standard input. No shell is
    /// involved. `name` is shown in `/performance/status` and on `/metrics`.
    pub fn command(
        name: impl Into<String>,
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let command = [program.into()].into_iter().chain(arguments.into_iter().map(Into::into)).collect();
        Self::new(Some(name.into()), Destination::Command(command))
    }

    /// Sets what `/performance/status` and `/metrics` call the receiver, with 1 to 64 characters.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sends a webhook messages as Slack takes them, and Mattermost and Rocket.Chat.
    pub fn slack(self) -> Self {
        self.template(TemplateSource::Named("slack"))
    }

    /// Sends a webhook messages made of a template in this file; docs/delivery.md describes it.
    pub fn template_file(self, path: impl Into<PathBuf>) -> Self {
        self.template(TemplateSource::File(path.into()))
    }

    pub(super) fn template(mut self, source: TemplateSource) -> Self {
        if let Destination::Webhook(_, template) = &mut self.destination {
            *template = source;
        }
        self
    }

    /// Sends `Authorization: Bearer <token>`. A command has no use for it.
    pub fn bearer_token(self, token: Secret) -> Self {
        self.authenticated(Authentication::Bearer(token))
    }

    /// Sends a user and a password by HTTP Basic authentication. A command has no use for them.
    pub fn basic_auth(self, user: impl Into<String>, password: Secret) -> Self {
        self.authenticated(Authentication::Basic { user: user.into(), password })
    }

    pub(super) fn authenticated(mut self, authentication: Authentication) -> Self {
        if let Some(endpoint) = self.endpoint() {
            endpoint.authentication = authentication;
        }
        self
    }

    /// Accepts only certificates that an authority in this PEM file has signed, instead of those that the system trusts. It is read
    /// when the monitor is built. A command has no use for it.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        if let Some(endpoint) = self.endpoint() {
            endpoint.ca_file = Some(path.into());
        }
        self
    }

    fn endpoint(&mut self) -> Option<&mut Endpoint> {
        match &mut self.destination {
            Destination::Alertmanager(endpoint) | Destination::Webhook(endpoint, _) => Some(endpoint),
            Destination::Command(_) => None,
        }
    }

    /// Leaves out findings that are less severe. An Alertmanager gets all of them: it routes by the label `severity`.
    pub fn min_severity(mut self, severity: Severity) -> Self {
        self.options.min_severity = severity;
        self
    }

    /// Sends a webhook or a command beginnings only, and no ends.
    pub fn without_resolved(mut self) -> Self {
        self.options.resolved = false;
        self
    }

    /// Sets after how long a webhook or a command is sent again what still fires. 4 h by default.
    pub fn repeat_every(mut self, interval: Duration) -> Self {
        self.options.repeat = Some(interval);
        self
    }

    /// Sends a webhook or a command nothing again.
    pub fn without_repeats(mut self) -> Self {
        self.options.repeat = None;
        self
    }

    /// Sets how many messages a webhook or a command gets in a minute at most, from 1. 10 by default; further ones wait.
    pub fn max_per_minute(mut self, messages: u32) -> Self {
        self.options.per_minute = messages;
        self
    }

    /// Sets how long the receiver may take, 10 s by default. A command is killed then.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
