//! `monitor`: watches a service without sending load.

use std::time::{Duration, Instant};

use super::{
    error::{OutputFormatError, ToolError},
    preflight::preflight,
    print::print_beside,
};
use crate::{
    cli::{MonitorArgs, OutputFormat, WatchedService},
    interrupt::Interrupt,
    plan::authorized,
    report::{check_writable, write_observations},
    server::{ClientOptions, Credentials, DEFAULT_TIMEOUT, Observation, ObserveError, ServerClient, observe},
    verdict::Conclusion,
};

/// Some hours at the default interval.
const MOST_OBSERVATIONS: usize = 5_000;

/// Prints an observation of the service every `--interval`, until `--duration` is over or Ctrl-C.
pub(crate) async fn run_monitor(arguments: &MonitorArgs, interrupt: &Interrupt) -> Result<Conclusion, ToolError> {
    for output in &arguments.output.outputs {
        if !matches!(output.format, OutputFormat::Json | OutputFormat::Csv) {
            return Err(OutputFormatError(output.path.display().to_string()).into());
        }
    }
    check_writable(&arguments.output.outputs)?;
    let client = connect(&arguments.target).await?;
    let stop = interrupt.new_stop();
    let started = Instant::now();
    let mut observations: Vec<Observation> = Vec::new();
    let mut previous = None;
    loop {
        match observe(&client, previous.as_ref(), started.elapsed()).await {
            Ok((observation, state)) => {
                if !arguments.output.quiet {
                    print_beside(&arguments.output, &observation.render(observations.last()));
                }
                observations.push(observation);
                previous = Some(state);
            }
            // The first failure is a mistake in the set-up. A later one is a restart, which is worth watching.
            Err(error) if observations.is_empty() => return Err(error.into()),
            Err(error) => {
                print_beside(&arguments.output, &format!("{:>6.1} s  {error}\n", started.elapsed().as_secs_f64()));
            }
        }
        if observations.len() > MOST_OBSERVATIONS {
            drop_every_second(&mut observations);
        }
        let left = arguments.target.duration.map(|duration| duration.saturating_sub(started.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(arguments.monitor.interval) => {}
            () = tokio::time::sleep(left.unwrap_or(Duration::MAX)) => {}
            () = stop.requested() => break,
        }
    }
    write_observations(&arguments.output.outputs, &observations)?;
    Ok(Conclusion::Passed)
}

async fn connect(target: &WatchedService) -> Result<ServerClient, ToolError> {
    let WatchedService { base_url, headers, timeout, accept_invalid_certs, monitor_token, .. } = target;
    let mut headers = authorized(base_url, headers)?;
    if let Some(token) = monitor_token {
        token.authorize(&mut headers);
    }
    let options = ClientOptions {
        credentials: Credentials::Headers(headers),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        accept_invalid_certs: *accept_invalid_certs,
    };
    preflight(base_url.url(), options.timeout).await?;
    Ok(ServerClient::new(base_url.url(), options).ok_or(ObserveError::NoClient)?)
}

/// Halves the resolution, so that a watch of days keeps its whole course in bounded memory.
fn drop_every_second(observations: &mut Vec<Observation>) {
    let mut index = 0;
    observations.retain(|_| {
        index += 1;
        index % 2 == 1
    });
}
