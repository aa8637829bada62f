//! Descriptions of series: a name, and its values one after another.

use super::{
    labels::SeriesName,
    notation::{self, Sample},
};
use crate::{
    names::{self, Kind},
    rules::nearest,
};

/// What the monitor keeps of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Without `_bucket`, `_sum` and `_count`.
    pub(super) name: SeriesName,
    pub(super) part: Part,
    pub(super) samples: Vec<Sample>,
}

/// Which part of a metric its values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Counter,
    /// A counter of seconds that the monitor counts in nanoseconds.
    Nanos,
    /// A total that is written as a gauge.
    Total,
    Gauge,
    /// Observations up to an edge.
    Bucket(f64),
    Sum,
    Count,
}

impl Series {
    /// Reads the name of a series.
    ///
    /// # Errors
    /// Returns why no rule would read it.
    pub(super) fn named(text: &str) -> Result<Self, String> {
        let name = SeriesName::read(text)?;
        if let Some(tally) = names::TALLIES.iter().find(|tally| tally.metric.name == name.metric) {
            return Err(made(&name.metric, tally.of.name));
        }
        if let Some(folded) = names::FOLDED.iter().find(|folded| folded.metric.name == name.metric) {
            return Err(made(&name.metric, folded.of.name));
        }
        let (name, part) = match names::metric(&name.metric) {
            Some(metric) if metric.kind == Kind::Histogram => return Err(whole(&name.metric)),
            Some(metric) => {
                let is_total = metric.kind == Kind::Counter && name.metric.ends_with("_seconds_total");
                let part = match metric.kind {
                    Kind::Counter if metric.nanos => Part::Nanos,
                    Kind::Counter if is_total => Part::Total,
                    Kind::Counter => Part::Counter,
                    Kind::Gauge | Kind::Histogram => Part::Gauge,
                };
                (name, part)
            }
            None => of_histogram(name)?,
        };
        Ok(Self { name, part, samples: Vec::new() })
    }

    /// Reads its values.
    ///
    /// # Errors
    /// Returns what is wrong with them.
    pub(super) fn with_samples(mut self, text: &str) -> Result<Self, String> {
        self.samples = notation::samples(text)?;
        Ok(self)
    }
}

fn made(found: &str, of: &str) -> String {
    format!("{found} is made for /metrics and no rule reads it; expected {of}, which it is counted from")
}

fn whole(found: &str) -> String {
    format!("{found} is a histogram; expected {found}_bucket with the label le, or {found}_sum and {found}_count")
}

/// Refuses a name of the monitor's own that it does not have: a slip of the pen would be silent.
fn own(found: &str) -> Result<(), String> {
    let prefix = names::BOTTLENECK.name.split('_').next().unwrap_or_default();
    if !found.starts_with(&format!("{prefix}_")) {
        return Ok(());
    }
    let meant = nearest(found, names::CATALOGUE.iter().map(|metric| metric.name));
    let meant =
        meant.map_or_else(|| "expected one of docs/metrics.md".to_owned(), |meant| format!("did you mean {meant}?"));
    Err(format!("the monitor has no metric {found}; {meant}"))
}

/// Takes the end off the name of a histogram's series; a name that is not in the catalogue is one of the service's own.
fn of_histogram(mut name: SeriesName) -> Result<(SeriesName, Part), String> {
    let (base, part) = if let Some(base) = name.metric.strip_suffix("_bucket") {
        let edge =
            name.labels.get("le").map(|edge| if edge == "+Inf" { Some(f64::INFINITY) } else { edge.parse().ok() });
        let edge = edge
            .flatten()
            .ok_or_else(|| format!("{}: expected a label le such as le=\"0.5\" or le=\"+Inf\"", name.metric))?;
        (base.to_owned(), Part::Bucket(edge))
    } else if let Some(base) = name.metric.strip_suffix("_sum") {
        (base.to_owned(), Part::Sum)
    } else if let Some(base) = name.metric.strip_suffix("_count") {
        (base.to_owned(), Part::Count)
    } else {
        own(&name.metric)?;
        let is_counter = name.metric.ends_with("_total");
        return Ok((name, if is_counter { Part::Counter } else { Part::Gauge }));
    };
    if let Some(metric) = names::metric(&base).filter(|metric| metric.kind != Kind::Histogram) {
        return Err(format!("{} is no histogram; expected {} itself", metric.name, metric.name));
    }
    if names::metric(&base).is_none() {
        own(&base)?;
    }
    name.labels.remove("le");
    name.metric = base;
    Ok((name, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, Part), &str>) {
        let read = Series::named(text).map(|series| (series.name.metric, series.part));
        let expected = expected.map(|(metric, part)| (metric.to_owned(), part)).map_err(str::to_owned);
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn what_the_monitor_keeps_of_a_series_follows_from_its_name() {
        check("process_resident_memory_bytes", Ok(("process_resident_memory_bytes", Part::Gauge)));
        check("mails_total{to=\"x\"}", Ok(("mails_total", Part::Counter)));
        check("mails_waiting", Ok(("mails_waiting", Part::Gauge)));
        check("process_cpu_seconds_total", Ok(("process_cpu_seconds_total", Part::Total)));
        check("pinchpoint_endpoint_part_seconds_total", Ok(("pinchpoint_endpoint_part_seconds_total", Part::Nanos)));
        check("job_seconds_bucket{le=\"0.5\"}", Ok(("job_seconds", Part::Bucket(0.5))));
        check("job_seconds_sum", Ok(("job_seconds", Part::Sum)));
    }

    #[test]
    fn a_slip_in_a_name_of_the_monitors_own_is_reported() {
        let meant = "the monitor has no metric pinchpoint_task_activ; did you mean pinchpoint_task_active?";
        check("pinchpoint_task_activ", Err(meant));
    }

    #[test]
    fn what_no_rule_reads_is_refused_with_what_one_does() {
        let tally = "pinchpoint_requests_total is made for /metrics and no rule reads it; expected \
                     http_server_request_duration_seconds, which it is counted from";
        check("pinchpoint_requests_total", Err(tally));
        let whole = "http_server_request_duration_seconds is a histogram; expected http_server_request_duration_seconds_bucket \
                     with the label le, or http_server_request_duration_seconds_sum and \
                     http_server_request_duration_seconds_count";
        check("http_server_request_duration_seconds", Err(whole));
        check("job_seconds_bucket", Err("job_seconds_bucket: expected a label le such as le=\"0.5\" or le=\"+Inf\""));
        let gauge = "process_resident_memory_bytes is no histogram; expected process_resident_memory_bytes itself";
        check("process_resident_memory_bytes_sum", Err(gauge));
    }
}
