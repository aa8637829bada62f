//! [`SETTINGS`]: what each setting is called, accepts, defaults to and means.
//!
//! The keys of the file, the `PINCHPOINT_…` variables, the errors of both and `reference.md` are made from this table. A
//! new setting is a field of [`Config`], a row here and a method of [`MonitorBuilder`](crate::MonitorBuilder).

use std::{sync::Arc, time::Duration};

#[cfg(feature = "deliver")]
use super::Origin;
use crate::{
    context::{
        Glob, UrlScheme,
        methods::{self, KnownMethods},
    },
    monitor::{
        Access, Control,
        config::{Config, Interval, RulesSource, Sampling},
        token,
    },
    rules::Unit,
};
#[cfg(feature = "deliver")]
use crate::{
    monitor::deliver,
    rules::located::{Node, Position},
};

/// Prefix of the environment variables.
pub(super) const PREFIX: &str = "PINCHPOINT_";

/// A setting.
pub(in crate::monitor) struct Setting {
    /// Its key in the file, and its name in errors.
    pub(in crate::monitor) key: &'static str,
    /// What it accepts.
    pub(super) expected: &'static str,
    /// A value other than the default, as a file has it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests make `reference.md` of it"))]
    pub(super) example: &'static str,
    /// Its default, as a file would have it; `None` where leaving it out is the only way to say so.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests make `reference.md` of it"))]
    pub(super) default: Option<&'static str>,
    /// What it sets.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests make `reference.md` of it"))]
    pub(super) meaning: &'static str,
    pub(super) reader: Reader,
    /// Copies it from one configuration to another.
    pub(super) copy: fn(from: &Config, to: &mut Config),
}

/// Reads a value into a configuration.
pub(super) enum Reader {
    /// A plain value; returns `None` for what the setting does not accept.
    Text(fn(&str, &mut Config) -> Option<()>),
    /// A token. No error shows it, and it must not be left empty.
    Secret(fn(&str, &mut Config) -> Option<()>),
    /// A plain value that no error shows, since a secret may have been put there by mistake: a database's URL for its server, a
    /// token for a word.
    Private(fn(&str, &mut Config) -> Option<()>),
    /// A list of plain values; in the environment they are separated by commas.
    List(fn(&[&str], &mut Config) -> Option<()>),
    /// A section with keys of its own; in the environment it is YAML, too. It adds what is wrong in it, and where.
    #[cfg(feature = "deliver")]
    Section(fn(&Node, &Origin<'_>, &mut Config, &mut Vec<(Position, String)>)),
}

impl Setting {
    /// Returns the name of its environment variable.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_uppercase())
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Every setting, in the order of the documentation. A token comes after what it replaces.
pub(in crate::monitor) static SETTINGS: &[Setting] = &[
    Setting {
        key: "rules_dir",
        expected: "a directory",
        example: "rules",
        default: None,
        meaning: "where the rule files are, from the working directory; without it the rules that are compiled in apply",
        reader: Reader::Text(|text, config| set(&mut config.rules, Some(RulesSource::Directory(text.into())))),
        copy: |from, to| to.rules.clone_from(&from.rules),
    },
    Setting {
        key: "evaluation_interval",
        expected: "a duration such as 5s or 500ms, from 100ms to 1m",
        example: "2s",
        default: Some("5s"),
        meaning: "time between two evaluations of the rules",
        reader: Reader::Text(|text, config| set(&mut config.evaluation_interval, interval(text))),
        copy: |from, to| to.evaluation_interval = from.evaluation_interval,
    },
    Setting {
        key: "sampling_interval",
        expected: "a duration such as 5s or 500ms, from 100ms to 1m, or off",
        example: "off",
        default: Some("5s"),
        meaning: "time between two reads of memory, CPU, file descriptors and the runtime",
        reader: Reader::Text(|text, config| {
            let off = (text == "off").then_some(Sampling::Off);
            set(&mut config.sampling, off.or_else(|| interval(text).map(Sampling::Every)))
        }),
        copy: |from, to| to.sampling = from.sampling,
    },
    Setting {
        key: "max_series",
        expected: "a whole number",
        example: "5000",
        default: Some("10000"),
        meaning: "series that are kept; further ones fold into `other`",
        reader: Reader::Text(|text, config| set(&mut config.max_series, text.parse().ok())),
        copy: |from, to| to.max_series = from.max_series,
    },
    Setting {
        key: "max_fingerprints",
        expected: "a whole number",
        example: "500",
        default: Some("1000"),
        meaning: "query fingerprints, and task names, that are kept; further ones fold into `other`",
        reader: Reader::Text(|text, config| set(&mut config.max_fingerprints, text.parse().ok())),
        copy: |from, to| to.max_fingerprints = from.max_fingerprints,
    },
    Setting {
        key: "max_pairs",
        expected: "a whole number",
        example: "500",
        default: Some("1000"),
        meaning: "pairs of an endpoint and a statement that `/metrics` shows; further ones fold into `other`",
        reader: Reader::Text(|text, config| set(&mut config.max_pairs, text.parse().ok())),
        copy: |from, to| to.max_pairs = from.max_pairs,
    },
    Setting {
        key: "slow_requests",
        expected: "a whole number",
        example: "0",
        default: Some("10"),
        meaning: "slowest requests of each endpoint that are kept whole",
        reader: Reader::Text(|text, config| set(&mut config.slow_requests, text.parse().ok())),
        copy: |from, to| to.slow_requests = from.slow_requests,
    },
    Setting {
        key: "retention",
        expected: "a duration such as 24h, from 1h to 2208h",
        example: "24h",
        default: Some("168h"),
        meaning: "how far back `/performance/trends` (a week at most) and error budgets reach; a budget of 30 days needs 744h",
        reader: Reader::Text(|text, config| {
            set(&mut config.retention, duration(text).and_then(|retention| retention.try_into().ok()))
        }),
        copy: |from, to| to.retention = from.retention,
    },
    Setting {
        key: "history_bytes",
        expected: "a size such as 64MB, at least 1MB",
        example: "16MB",
        default: Some("64MB"),
        meaning: "memory that windows and trends may take together",
        reader: Reader::Text(|text, config| {
            set(&mut config.history_bytes, bytes(text).and_then(|bytes| bytes.try_into().ok()))
        }),
        copy: |from, to| to.history_bytes = from.history_bytes,
    },
    #[cfg(feature = "archive")]
    Setting {
        key: "history_file",
        expected: "a path",
        example: "pinchpoint.redb",
        default: None,
        meaning: "the file that keeps the trends over a restart, from the working directory (feature `archive`)",
        reader: Reader::Text(|text, config| set(&mut config.history_file, Some(Some(text.into())))),
        copy: |from, to| to.history_file.clone_from(&from.history_file),
    },
    Setting {
        key: "service_name",
        expected: "a name, together with service_version",
        example: "shop",
        default: None,
        meaning: "the service in `target_info`, and whose versions are compared (feature `archive`)",
        reader: Reader::Text(|text, config| set(&mut config.service_name, Some(Some(Arc::from(text))))),
        copy: |from, to| to.service_name.clone_from(&from.service_name),
    },
    Setting {
        key: "service_version",
        expected: "a version, together with service_name",
        example: "1.2.3",
        default: None,
        meaning: "its version",
        reader: Reader::Text(|text, config| set(&mut config.service_version, Some(Some(Arc::from(text))))),
        copy: |from, to| to.service_version.clone_from(&from.service_version),
    },
    Setting {
        key: "service_instance_id",
        expected: "a text",
        example: "shop-7",
        default: None,
        meaning: "which process of the service this is, in `target_info`; without it a random UUID",
        reader: Reader::Text(|text, config| set(&mut config.service_instance_id, Some(Some(Arc::from(text))))),
        copy: |from, to| to.service_instance_id.clone_from(&from.service_instance_id),
    },
    Setting {
        key: "ignore_paths",
        expected: "a list of route templates, in which * stands for any run of characters",
        example: "[\"/health*\", /ready]",
        default: Some("[]"),
        meaning: "routes whose requests are left out, besides those that the program leaves out",
        reader: Reader::List(|globs, config| {
            set(&mut config.ignored_paths, Some(globs.iter().map(|glob| Glob::new(glob)).collect()))
        }),
        copy: |from, to| to.ignored_paths.extend_from_slice(&from.ignored_paths),
    },
    Setting {
        key: "db_system",
        expected: "a name such as postgresql",
        example: "postgresql",
        default: Some("other_sql"),
        meaning: "the label `db_system_name`, with OpenTelemetry's names",
        reader: Reader::Text(|text, config| changed(&mut config.database, |database| Some(database.system(text)))),
        copy: |from, to| to.database = to.database.clone().system_of(&from.database),
    },
    Setting {
        key: "db_namespace",
        expected: "a name of a database",
        example: "shop",
        default: None,
        meaning: "the label `db_namespace` of queries that name no database",
        reader: Reader::Text(|text, config| changed(&mut config.database, |database| Some(database.namespace(text)))),
        copy: |from, to| to.database = to.database.clone().namespace_of(&from.database),
    },
    Setting {
        key: "db_server",
        expected: "a host, or a host and a port",
        example: "db.internal:5433",
        default: None,
        meaning: "the labels `server_address` and `server_port` of queries that name no database",
        reader: Reader::Private(|text, config| changed(&mut config.database, |database| database.at(text))),
        copy: |from, to| to.database = to.database.clone().server_of(&from.database),
    },
    Setting {
        key: "url_scheme",
        expected: "request, http or https",
        example: "https",
        default: Some("request"),
        meaning: "the label `url_scheme` of requests: as each request says it, or the same for all",
        reader: Reader::Text(|text, config| {
            let scheme = match text {
                "request" => UrlScheme::FromRequest,
                "http" => UrlScheme::Http,
                "https" => UrlScheme::Https,
                _ => return None,
            };
            set(&mut config.url_scheme, Some(scheme))
        }),
        copy: |from, to| to.url_scheme = from.url_scheme,
    },
    Setting {
        key: "known_methods",
        expected: methods::EXPECTED,
        example: "[GET, PUT, PROPFIND]",
        default: None,
        meaning: "request methods with series of their own, instead of the standard ones; without it the variable \
                  `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` sets them",
        reader: Reader::List(|methods, config| {
            let known = KnownMethods::listed(methods.iter().copied())?;
            set(&mut config.known_methods, Some(Some(known)))
        }),
        copy: |from, to| to.known_methods.clone_from(&from.known_methods),
    },
    Setting {
        key: "control",
        expected: "loopback, open or refused",
        example: "loopback",
        default: Some("refused"),
        meaning: "who may use the control endpoints: requests for this machine's own address, every request, or none",
        reader: Reader::Private(|text, config| {
            let control = match text {
                "refused" => Control::Refused,
                "open" => Control::Open,
                "loopback" => Control::Loopback,
                _ => return None,
            };
            // The variable must not open what the file's token closes.
            if !matches!(config.control, Control::Token(_)) {
                config.control = control;
            }
            Some(())
        }),
        copy: |from, to| to.control = from.control.clone(),
    },
    Setting {
        key: "control_token",
        expected: token::EXPECTED,
        example: "a long secret",
        default: None,
        meaning: "lets in the requests that send `Authorization: Bearer <token>`, for reading too, and replaces `control`",
        reader: Reader::Secret(|text, config| set(&mut config.control, sendable(text).map(Control::token))),
        copy: |from, to| to.control = from.control.clone(),
    },
    Setting {
        key: "metrics_access",
        expected: "loopback or open",
        example: "loopback",
        default: Some("open"),
        meaning: "who may read `/metrics`: clients on this machine, or every client that reaches it",
        reader: Reader::Private(|text, config| access(text, &mut config.metrics_access)),
        copy: |from, to| to.metrics_access = from.metrics_access.clone(),
    },
    Setting {
        key: "metrics_token",
        expected: token::EXPECTED,
        example: "a long secret for Prometheus",
        default: None,
        meaning: "lets only those read `/metrics` that send it, as `Authorization: Bearer <token>` or as the password of HTTP Basic \
                  authentication, and replaces `metrics_access`",
        reader: Reader::Secret(|text, config| set(&mut config.metrics_access, sendable(text).map(Access::token))),
        copy: |from, to| to.metrics_access = from.metrics_access.clone(),
    },
    Setting {
        key: "performance_access",
        expected: "loopback or open",
        example: "loopback",
        default: Some("open"),
        meaning: "who may read `/performance` and what is below it: clients on this machine, or every client that reaches it",
        reader: Reader::Private(|text, config| access(text, &mut config.performance_access)),
        copy: |from, to| to.performance_access = from.performance_access.clone(),
    },
    Setting {
        key: "performance_token",
        expected: token::EXPECTED,
        example: "a long secret for people",
        default: None,
        meaning: "lets only those read `/performance` and what is below it that send it, as `Authorization: Bearer <token>` or as the password of HTTP Basic \
                  authentication, and replaces `performance_access`",
        reader: Reader::Secret(|text, config| set(&mut config.performance_access, sendable(text).map(Access::token))),
        copy: |from, to| to.performance_access = from.performance_access.clone(),
    },
    Setting {
        key: "allowed_hosts",
        expected: "a list of host names without ports",
        example: "[shop.internal]",
        default: Some("[]"),
        meaning: "names, besides addresses and localhost, under which the open control endpoints and an API on loopback answer",
        reader: Reader::List(|names, config| {
            set(&mut config.allowed_hosts, Some(names.iter().map(|name| host_name(name)).collect()))
        }),
        copy: |from, to| to.allowed_hosts.extend_from_slice(&from.allowed_hosts),
    },
    #[cfg(feature = "deliver")]
    Setting {
        key: "deliver",
        expected: "a section with alertmanagers, webhooks, commands, labels, grace and resend",
        example: "{ alertmanagers: [\"http://127.0.0.1:9093\"] }",
        default: None,
        meaning: "who is sent alerts about findings (feature `deliver`); docs/delivery.md has its keys, and a variable has it as YAML",
        reader: Reader::Section(|node, origin, config, problems| {
            config.deliver = deliver::read(node, origin, problems)
        }),
        copy: |from, to| to.deliver.clone_from(&from.deliver),
    },
];

/// Returns a host name as requests are compared with it.
pub(in crate::monitor) fn host_name(name: &str) -> Arc<str> {
    name.trim().trim_end_matches('.').to_ascii_lowercase().into()
}

/// Changes a value; returns `None`, and leaves it, if the text makes none.
fn changed<T: Clone>(value: &mut T, change: impl FnOnce(T) -> Option<T>) -> Option<()> {
    *value = change(value.clone())?;
    Some(())
}

/// Puts a value that could be read into its field.
fn set<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

/// Returns the setting that a token replaces, and for other settings themselves.
pub(in crate::monitor) fn of_token(key: &'static str) -> &'static str {
    match key {
        "control_token" => "control",
        "metrics_token" => "metrics_access",
        "performance_token" => "performance_access",
        other => other,
    }
}

fn access(text: &str, access: &mut Access) -> Option<()> {
    let found = match text {
        "open" => Access::Open,
        "loopback" => Access::Loopback,
        _ => return None,
    };
    // The variable must not open what the file's token closes.
    if !matches!(access, Access::Token(_)) {
        *access = found;
    }
    Some(())
}

/// Returns a token if clients can send it.
fn sendable(text: &str) -> Option<&str> {
    token::problem(text).is_none().then_some(text)
}

fn interval(text: &str) -> Option<Interval> {
    duration(text)?.try_into().ok()
}

pub(in crate::monitor) fn duration(text: &str) -> Option<Duration> {
    Unit::Seconds.parse(text).ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn bytes(text: &str) -> Option<usize> {
    // `as` saturates: more bytes than a pointer can count are as good as no limit.
    Unit::Bytes.parse(text).ok().map(|bytes| bytes as usize)
}
