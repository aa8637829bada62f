//! `pinchpoint alerts`: tries who is sent alerts.

use std::io::{self, Write};

use pinchpoint::{AlertReceiver, BuildError, Monitor, Settings, SettingsError, TestedReceiver};

use crate::args::{AlertsCommand, AlertsTestArgs};

/// Lines of an answer that are printed: a page of HTML says nothing more in its others.
const LINES: usize = 5;

/// Why a test failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertsError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A receiver cannot be used.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There is nobody to try.
    #[error(
        "there is no receiver of alerts: name one under `deliver` in the settings, or with --alertmanager http://127.0.0.1:9093"
    )]
    Nobody,
    /// Some did not accept it.
    #[error("{refused} of {all} receivers did not accept the notification")]
    Refused {
        /// How many did not.
        refused: usize,
        /// How many were tried.
        all: usize,
    },
    /// The runtime did not start.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// The answer cannot be printed.
    #[error("cannot print the answer")]
    Output(#[source] io::Error),
}

/// Runs a command and prints its answer.
///
/// # Errors
/// Returns an error where the settings are wrong, and where a receiver did not accept the notification.
pub(crate) fn run(command: AlertsCommand, output: &mut impl Write) -> Result<(), AlertsError> {
    let AlertsCommand::Test(args) = command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AlertsError::Runtime)?;
    let tested = runtime.block_on(test(args))?;
    for receiver in &tested {
        output.write_all(shown(receiver).as_bytes()).map_err(AlertsError::Output)?;
    }
    match tested.iter().filter(|receiver| !receiver.accepted).count() {
        _ if tested.is_empty() => Err(AlertsError::Nobody),
        0 => Ok(()),
        refused => Err(AlertsError::Refused { refused, all: tested.len() }),
    }
}

async fn test(AlertsTestArgs { config, alertmanager }: AlertsTestArgs) -> Result<Vec<TestedReceiver>, AlertsError> {
    let settings = Settings::load(config.as_deref())?;
    let further = alertmanager.into_iter().map(AlertReceiver::alertmanager);
    let builder = further.fold(Monitor::builder().settings(settings), |builder, one| builder.alert_receiver(one));
    Ok(builder.test_receivers().await?)
}

/// Returns a line on a receiver, and below it the beginning of what it said.
fn shown(receiver: &TestedReceiver) -> String {
    let word = if receiver.accepted { "accepted" } else { "NOT accepted" };
    let mut text = format!("{}: {word}: {}\n", receiver.name, receiver.status);
    for line in receiver.body.lines().take(LINES) {
        // What another program says must not steer the terminal.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text += &format!("  {line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_receiver_the_test_fails_and_says_what_to_do() {
        let args = AlertsTestArgs { config: None, alertmanager: Vec::new() };
        let error = run(AlertsCommand::Test(args), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("name one under `deliver`"), "{error}");
    }

    #[test]
    fn a_receiver_that_is_down_fails_the_test_and_is_named() {
        let args = AlertsTestArgs { config: None, alertmanager: vec!["http://127.0.0.1:1".to_owned()] };
        let mut output = Vec::new();
        let error = run(AlertsCommand::Test(args), &mut output).unwrap_err().to_string();
        assert_eq!(error, "1 of 1 receivers did not accept the notification");
        let output = String::from_utf8(output).unwrap();
        assert!(output.starts_with("alertmanager/127.0.0.1:1: NOT accepted: cannot connect: "), "{output}");
    }
}
