//! The monitor's own problems, each in a sentence: what is wrong with the measurements must not pass for news of the service.

use crate::{api::status::StatusAnswer, rules::Unit};

/// Returns what is wrong with the monitor.
pub(super) fn problems(status: &StatusAnswer) -> Vec<String> {
    let seconds = |seconds: f64| Unit::Seconds.render(seconds);
    let mut all = Vec::new();
    if let Some(errors) = &status.rules.error {
        all.push(format!("The rule files are wrong, and the rules of before stay in force: {}", errors.join("; ")));
    }
    if let Some(age) = status.rules.reading_overdue_seconds {
        all.push(format!("The rule files have not been readable for {}; edits are not seen.", seconds(age)));
    }
    if status.series_dropped > 0 {
        let (dropped, most) = (status.series_dropped, status.max_series);
        all.push(format!("{dropped} label sets past the limit of {most} series are counted as “other”."));
    }
    if status.sampler_panics > 0 {
        all.push(format!(
            "A sampler of the service has panicked {} times; its gauges may be out of date.",
            status.sampler_panics
        ));
    }
    if let Some(age) = status.sampling_overdue_seconds {
        all.push(format!("Reading the machine has taken {} so far; memory and CPU may be out of date.", seconds(age)));
    }
    #[cfg(feature = "archive")]
    if let Some(file) = &status.history_file {
        if let Some(error) = &file.error {
            all.push(format!("The history file cannot be written, and is tried again every minute: {error}"));
        }
        if let Some(age) = file.writing_overdue_seconds {
            all.push(format!("The history file has been written for {}, and does not end.", seconds(age)));
        }
        if let Some(lost) = &file.lost {
            all.push(format!("Lost to damage: {lost}."));
        }
    }
    #[cfg(feature = "deliver")]
    all.extend(status.receivers.iter().filter_map(crate::api::receivers::ReceiverStatus::problem));
    if let Some(problem) = status.sqlx.as_ref().and_then(|sqlx| sqlx.problem.as_ref()) {
        all.push(format!("{problem}."));
    }
    all
}
