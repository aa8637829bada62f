//! Tests of the section `deliver`: what it says, and what is wrong with it.

use super::*;
use crate::{Monitor, Settings};

fn receivers(text: &str) -> DeliverConfig {
    Monitor::builder().settings(Settings::parse(text, "f").expect(text)).config.deliver
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = Settings::parse(text, "f.yaml").expect_err(text).to_string();
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

const ALL: &str = "\
deliver:
  labels: { team: shop }
  grace: 30s
  resend: 2m
  alertmanagers:
    - http://127.0.0.1:9093
    - url: https://alerts.example/prefix
      basic_auth: { user: me, password_file: /run/secrets/password }
      ca_file: /etc/ssl/own.pem
      name: on-call
      timeout: 5s
  webhooks:
    - name: chat
      template: slack
      url_env: SLACK_WEBHOOK_URL
      min_severity: high
      resolved: false
      repeat: 1h
      max_per_minute: 2
    - name: tickets
      url: https://tickets.example
      template_file: ticket.json
      bearer_token_env: TICKETS_TOKEN
      repeat: off
  commands:
    - name: page
      command: [/usr/local/bin/page, --urgent]
      timeout: 20s
";

#[test]
fn the_file_says_what_the_builder_says() {
    let found = receivers(ALL);
    let seconds = Duration::from_secs;
    let expected = [
        AlertReceiver::alertmanager("http://127.0.0.1:9093"),
        AlertReceiver::alertmanager("https://alerts.example/prefix")
            .basic_auth("me", Secret::file("/run/secrets/password"))
            .ca_file("/etc/ssl/own.pem")
            .named("on-call")
            .timeout(seconds(5)),
        AlertReceiver::webhook("chat", Secret::env("SLACK_WEBHOOK_URL"))
            .slack()
            .min_severity(Severity::High)
            .without_resolved()
            .repeat_every(seconds(3600))
            .max_per_minute(2),
        AlertReceiver::webhook("tickets", "https://tickets.example")
            .template_file("ticket.json")
            .bearer_token(Secret::env("TICKETS_TOKEN"))
            .without_repeats(),
        AlertReceiver::command("page", "/usr/local/bin/page", ["--urgent"]).timeout(seconds(20)),
    ];
    assert_eq!(found.receivers, expected);
    assert_eq!((found.grace, found.resend), (seconds(30), seconds(120)));
    assert_eq!(found.labels.get("team").map(String::as_str), Some("shop"));
}

#[test]
fn everything_that_is_wrong_with_a_receiver_is_reported_at_once() {
    let text = "\
deliver:
  alertmanagers:
    - { url: [], timeout: 1h, ca_file: {} }
  webhooks:
    - { template: email, bearer_token_file: a, bearer_token_env: B, repeat: never }
    - { name: chat, url: http://a, basic_auth: { password_file: [] } }
  commands:
    - { command: [], min_severity: worst }
";
    let error = Settings::parse(text, "f.yaml").expect_err(text).to_string();
    let expected = [
        "f.yaml:3:14: url is a list",
        "f.yaml:3:27: timeout is",
        "f.yaml:3:40: ca_file is a mapping",
        "f.yaml:5:7: the webhook has no name",
        "f.yaml:5:19: template is",
        "f.yaml:5:7: the webhook needs one of url,",
        "f.yaml:5:7: the token needs one of",
        "f.yaml:5:77: repeat is",
        "f.yaml:6:48: basic_auth has no user",
        "f.yaml:6:65: password_file is a list",
        "f.yaml:8:7: the command has no name",
        "f.yaml:8:18: command is a list",
        "f.yaml:8:36: min_severity is",
    ];
    for line in expected {
        assert!(error.contains(line), "{line} is not in\n{error}");
    }
}

#[test]
fn files_are_taken_from_the_directory_of_the_settings_file() {
    let text = "\
deliver:
  alertmanagers: [{ url_file: url, bearer_token_file: /run/token, ca_file: own.pem }]
  webhooks: [{ name: a, url: http://a, template_file: t/ticket.json, basic_auth: { user: me, password_file: ../p } }]
";
    let expected = |directory: &str| {
        let within = |path: &str| format!("{directory}{path}");
        [
            AlertReceiver::alertmanager(Secret::file(within("url")))
                .bearer_token(Secret::file("/run/token"))
                .ca_file(within("own.pem")),
            AlertReceiver::webhook("a", "http://a")
                .template_file(within("t/ticket.json"))
                .basic_auth("me", Secret::file(within("../p"))),
        ]
    };
    let found = |settings| Monitor::builder().settings(settings).config.deliver.receivers;
    assert_eq!(found(Settings::parse(text, "/etc/shop/pinchpoint.yaml").expect("good")), expected("/etc/shop/"));
    assert_eq!(found(Settings::parse(text, "pinchpoint.yaml").expect("good")), expected(""));
}

#[test]
fn mistakes_are_refused_with_their_place_and_without_secrets() {
    refused("deliver: hunter2", "f.yaml:1:10: deliver is a plain value; expected a mapping with alertmanagers");
    refused(
        "deliver: { alertmanager: [] }",
        "f.yaml:1:12: unknown key \"alertmanager\" in deliver; did you mean \"alertmanagers\"?",
    );
    refused("deliver: { alertmanagers: \"http://hunter2\" }", "alertmanagers is a plain value; expected a list");
    refused("deliver: { webhooks: [{ url: \"http://hunter2\" }] }", "f.yaml:1:23: the webhook has no name");
    refused("deliver: { webhooks: [{ name: a }] }", "the webhook needs one of url, url_file, url_env; found none");
    refused(
        "deliver: { webhooks: [{ name: a, url: hunter2, url_env: X }] }",
        "the webhook needs one of url, url_file, url_env; found url, url_env",
    );
    refused(
        "deliver: { webhooks: [{ name: a, url: hunter2, template: teams }] }",
        "template is \"teams\"; expected full or slack",
    );
    refused(
        "deliver: { webhooks: [{ name: a, url: u, bearer_token: hunter2 }] }",
        "unknown key \"bearer_token\" in the webhook",
    );
    refused(
        "deliver: { webhooks: [{ name: a, url: u, \"https://hunter2.example\": x }] }",
        "unknown key in the webhook",
    );
    refused("deliver: { commands: [{ name: a, command: \"rm -rf hunter2\" }] }", "no shell reads it");
    refused("deliver: { commands: [{ name: a, command: [] }] }", "command is a list; expected a list such as");
    refused("deliver: { grace: 2h }", "grace is \"2h\"; expected a duration from 0s to 1h");
    refused("deliver: { labels: { a-b: c } }", "this is no name of a label");
    refused("deliver: { commands: [{ name: a, command: [x], max_per_minute: 0 }] }", "max_per_minute is \"0\"");
    refused(
        "deliver: { commands: [{ name: a, command: [x], min_severity: urgent }] }",
        "expected low, medium, high or critical",
    );
    refused(
        "deliver: { alertmanagers: [{ url: u, basic_auth: { user: me, password: hunter2 } }] }",
        "unknown key \"password\" in basic_auth; expected one of user, password_file, password_env",
    );
}

#[test]
fn what_would_be_dropped_in_silence_is_refused() {
    refused("deliver: { labels: { severity: x } }", "f.yaml:1:22: the label severity is the alert's own");
    refused("deliver: { labels: { alertname: x } }", "the label alertname is the alert's own");
    refused("deliver: { alertmanagers: [{ url: \"\" }] }", "url is empty; expected a text");
    refused(
        "deliver: { alertmanagers: [{ url: http://a, basic_auth: { password_env: P } }] }",
        "basic_auth has no user; expected one beside the password",
    );
}

#[test]
fn every_mistake_is_reported() {
    let error = Settings::parse("deliver:\n  grace: x\n  resend: y\nmax_series: z", "f").expect_err("three");
    assert_eq!(error.to_string().lines().count(), 3, "{error}");
}
