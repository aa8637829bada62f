//! Watches a service without sending load.

use std::time::{Duration, Instant};

use thiserror::Error;

use super::error::ToolError;
use super::print;
use crate::cli::{MonitorArgs, OutputFormat, WatchedService};
use crate::interrupt::Interrupt;
use crate::plan::header_map;
use crate::report::{check_writable, write_watch};
use crate::server::{ClientOptions, Credentials, DEFAULT_TIMEOUT, Observation, ObserveError, ServerClient, observe};
use crate::verdict::Conclusion;

/// Nothing to watch.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum MonitorError {
    /// The service is not there, or tells nothing.
    #[error(transparent)]
    Observation(#[from] ObserveError),
    /// A format that makes no sense for a watch.
    #[error("a watch is written as .json or .csv; {0} would have nothing to show")]
    Format(String),
}

/// Watches until the time is over or somebody ends it.
pub(crate) async fn run_monitor(arguments: &MonitorArgs, interrupt: &Interrupt) -> Result<Conclusion, ToolError> {
    for output in &arguments.output.outputs {
        if !matches!(output.format, OutputFormat::Json | OutputFormat::Csv) {
            return Err(MonitorError::Format(output.path.display().to_string()).into());
        }
    }
    check_writable(&arguments.output.outputs)?;
    let WatchedService { base_url, headers, timeout, accept_invalid_certs, .. } = &arguments.target;
    let asking = ClientOptions {
        credentials: Credentials::Headers(header_map(headers)),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        accept_invalid_certs: *accept_invalid_certs,
    };
    super::preflight::preflight(base_url, asking.timeout).await.map_err(super::SessionError::from)?;
    let client = ServerClient::new(base_url, asking).ok_or(ObserveError::NoClient).map_err(MonitorError::from)?;
    let stop = interrupt.new_stop();
    let started = Instant::now();
    let mut looks: Vec<Observation> = Vec::new();
    let mut previous = None;
    loop {
        let look = observe(&client, previous.as_ref(), started.elapsed()).await;
        match look {
            Ok((look, state)) => {
                if !arguments.output.quiet {
                    print(&look.render(looks.last()));
                }
                looks.push(look);
                previous = Some(state);
            }
            // At the first look it is a mistake; later the service is restarting, and that is worth watching.
            Err(error) if looks.is_empty() => return Err(MonitorError::from(error).into()),
            Err(error) => print(&format!("{:>6.1} s  {error}\n", started.elapsed().as_secs_f64())),
        }
        if looks.len() > MOST_LOOKS {
            // Every second one: a watch of days keeps its course, not its seconds.
            let mut index = 0;
            looks.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        let next = tokio::time::sleep(arguments.monitor.interval);
        let left = arguments.target.duration.map(|duration| duration.saturating_sub(started.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            break;
        }
        tokio::select! {
            () = next => {}
            () = tokio::time::sleep(left.unwrap_or(Duration::MAX)) => {}
            () = stop.requested() => break,
        }
    }
    write_watch(&arguments.output.outputs, &looks)?;
    Ok(Conclusion::Passed)
}

const MOST_LOOKS: usize = 5_000;
