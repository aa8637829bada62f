//! [`Exposition`]: every series in a format that Prometheus reads.
//!
//! `families` decides what is exposed, the same for every format; `derived` computes the samples of metrics without series of
//! their own; `spelling` has names, edges and numbers; `text` and `openmetrics` write `lines`, and
//! `protobuf` messages.

mod derived;
mod families;
mod lines;
mod openmetrics;
mod protobuf;
mod spelling;
mod text;

use std::collections::HashMap;

pub(super) use self::derived::Sources;
#[cfg(feature = "export")]
pub(crate) use self::spelling::label_name;
pub(crate) use self::spelling::metric_name;
use self::{
    families::{Families, Family, Head, Labels, Value},
    openmetrics::OpenMetrics,
    protobuf::Protobuf,
    text::Text,
};
use super::series::Index;

/// Bytes after which a part is returned: large enough that parts cost nothing, small beside the whole page.
const PART: usize = 64 * 1024;

/// A format that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text format, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Delimited protobuf messages, with native histograms beside the classic buckets.
    Protobuf,
}

#[derive(Debug)]
enum Encoder {
    Text(Text),
    OpenMetrics(OpenMetrics),
    Protobuf(Box<Protobuf>),
}

impl Encoder {
    fn new(format: Format) -> Self {
        match format {
            Format::Text => Self::Text(Text::default()),
            Format::OpenMetrics => Self::OpenMetrics(OpenMetrics::default()),
            Format::Protobuf => Self::Protobuf(Box::default()),
        }
    }

    /// Begins a metric.
    fn begin(&mut self, out: &mut Vec<u8>, head: &Head) {
        match self {
            Self::Text(text) => text.begin(out, head),
            Self::OpenMetrics(text) => text.begin(out, head),
            Self::Protobuf(messages) => messages.begin(head),
        }
    }

    fn sample(&mut self, out: &mut Vec<u8>, head: &Head, labels: &Labels<'_>, value: &Value<'_>) {
        match self {
            Self::Text(text) => text.sample(out, head, labels, value),
            Self::OpenMetrics(text) => text.sample(out, head, labels, value),
            Self::Protobuf(messages) => messages.sample(out, head, labels, value),
        }
    }

    /// Ends a metric.
    fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Text(_) => Text::end(out),
            Self::OpenMetrics(_) => {}
            Self::Protobuf(messages) => messages.end(out),
        }
    }

    /// Ends the page.
    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Text(_) | Self::Protobuf(_) => {}
            Self::OpenMetrics(_) => OpenMetrics::finish(out),
        }
    }
}

/// Where the page is.
enum Place {
    BetweenMetrics,
    In(Box<Family>),
    End,
}

/// The page in parts of about 64 KiB, so that a scrape of ten thousand series does not hold many megabytes at once.
pub(crate) struct Exposition {
    families: Families,
    place: Place,
    encoder: Encoder,
}

impl Exposition {
    pub(super) fn new(index: Index, descriptions: &HashMap<String, String>, sources: Sources, format: Format) -> Self {
        let families = Families::new(index, descriptions, sources);
        Self { families, place: Place::BetweenMetrics, encoder: Encoder::new(format) }
    }
}

impl Iterator for Exposition {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut part = Vec::with_capacity(PART + PART / 8);
        let encoder = &mut self.encoder;
        while part.len() < PART {
            match &mut self.place {
                Place::BetweenMetrics => match self.families.next() {
                    Some(family) => {
                        encoder.begin(&mut part, &family.head);
                        self.place = Place::In(Box::new(family));
                    }
                    None => {
                        encoder.finish(&mut part);
                        self.place = Place::End;
                    }
                },
                Place::In(family) => {
                    let write = |head: &Head, labels: &Labels<'_>, value: &Value<'_>| {
                        encoder.sample(&mut part, head, labels, value);
                    };
                    if !family.next_sample(self.families.index(), write) {
                        encoder.end(&mut part);
                        self.place = Place::BetweenMetrics;
                    }
                }
                Place::End => break,
            }
        }
        (!part.is_empty()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics::Recorder as _;

    use super::Format;
    use crate::{context::labelled, names, store::MonitorRecorder};

    #[test]
    fn histograms_expose_the_catalogues_buckets() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let route: Arc<str> = "/users/{id}".into();
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[(names::ROUTE, route)]);
        for seconds in [0.004, 0.1, 0.1000001, 50.0] {
            histogram.record(seconds);
        }
        insta::assert_snapshot!(recorder.render());
    }

    #[test]
    fn names_that_are_exposed_as_one_have_the_same_buckets() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        metrics::with_local_recorder(&recorder, || {
            for name in ["jobs.seconds", "jobs/seconds", "jobs-seconds"] {
                metrics::histogram!(name, "a" => name).record(1.0);
            }
            metrics::histogram!("db_client_connection").record(1.0);
            metrics::gauge!("pinchpoint_rule_evaluation_seconds").set(5.0);
        });
        labelled::gauge(&recorder, &names::POOL_COUNT, &[]).set(2.0);
        let text = recorder.render();
        assert_eq!(text.matches("jobs_seconds_bucket{").count(), 3 * (names::DURATION_BUCKETS.len() + 1), "{text}");
        assert_eq!(text.matches("le=\"+Inf\"} 1").count(), 3, "{text}");
        assert!(text.contains("db_client_connection_count 2") && !text.contains("db_client_connection_sum"), "{text}");
        assert!(!text.contains("pinchpoint_rule_evaluation_seconds 5"), "{text}");
    }

    #[test]
    fn a_hosts_metric_with_a_name_in_use_is_left_out() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        labelled::gauge(&recorder, &names::PROCESS_CPU, &[]).set(1.5);
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("process_cpu_seconds_total").increment(7);
            metrics::gauge!("a.b").set(1.0);
            metrics::gauge!("a_b").set(2.0);
            metrics::counter!("a-b").increment(3);
        });
        let text = recorder.render();
        assert_eq!(text.matches("\nprocess_cpu_seconds_total ").count(), 1, "{text}");
        assert_eq!((text.matches("# TYPE a_b ").count(), text.matches("\na_b ").count()), (1, 1), "{text}");
    }

    /// Totals of seconds are written as gauges, and a host can set one of their names to anything.
    #[test]
    fn a_counter_that_a_host_set_to_no_number_is_left_out() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let odd = [f64::NAN, f64::NEG_INFINITY, -1.0, -0.0, 7.5, f64::INFINITY];
        metrics::with_local_recorder(&recorder, || {
            for value in odd {
                metrics::gauge!("process_cpu_seconds_total", "value" => value.to_string()).set(value);
                metrics::gauge!("pinchpoint_cpu_throttled_seconds_total").set(-1.0);
                metrics::gauge!("pinchpoint_queries_total", "value" => value.to_string()).set(value);
            }
            metrics::gauge!("process_resident_memory_bytes").set(-1.0);
        });
        let lines = |text: &str, start: &str| -> Vec<String> {
            text.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
        };
        for format in [Format::Text, Format::OpenMetrics] {
            let text = String::from_utf8(recorder.exposition(format).collect::<Vec<_>>().concat()).expect("UTF-8");
            let cpu = lines(&text, "process_cpu_seconds_total{");
            assert_eq!(cpu.len(), 3, "{text}");
            for (line, value) in cpu.iter().zip(["-0\"} ", "7.5\"} 7.5", "inf\"} +Inf"]) {
                assert!(line.contains(value), "{line}");
            }
            assert!(!text.contains("throttled"), "no metric without a sample: {text}");
            assert!(!text.contains("pinchpoint_queries_total"), "it is made from others: {text}");
            assert_eq!(lines(&text, "process_resident_memory_bytes "), ["process_resident_memory_bytes -1"]);
        }
        let messages = recorder.exposition(Format::Protobuf).collect::<Vec<_>>().concat();
        let count = |text: &str| messages.windows(text.len()).filter(|part| *part == text.as_bytes()).count();
        assert_eq!((count("process_cpu_seconds_total"), count("value"), count("throttled")), (1, 3, 0));
        let start = tokio::time::Instant::now();
        let mut history = crate::store::History::new(start, [std::time::Duration::from_secs(60)]);
        for second in 1..4 {
            history.tick(&recorder.index(), start + std::time::Duration::from_secs(second));
            metrics::with_local_recorder(&recorder, || {
                metrics::gauge!("pinchpoint_cpu_throttled_seconds_total").set(odd[second as usize]);
            });
        }
    }

    #[test]
    fn labels_that_would_be_the_same_to_prometheus_stay_apart() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        metrics::with_local_recorder(&recorder, || {
            metrics::gauge!("twice", "a.b" => "1", "a_b" => "2", "" => "3", "__name__" => "other").set(1.0);
            metrics::gauge!("twice", "a-b" => "1").set(2.0);
            metrics::gauge!("order", "a" => "1", "b" => "2").set(1.0);
            metrics::gauge!("order", "b" => "2", "a" => "1").set(2.0);
            metrics::gauge!("order", "a" => "1", "b" => "2", "c" => "").set(3.0);
            metrics::gauge!("city", "名前" => "a", "都市" => "b").set(1.0);
            metrics::gauge!("имя").set(1.0);
            metrics::gauge!("дом").set(2.0);
            metrics::gauge!("", "a" => "1").set(1.0);
            metrics::gauge!("edge", "le" => "1").set(1.0);
            metrics::histogram!("jobs", "le" => "1", "exported.le" => "2").record(1.0);
            metrics::counter!("jobs_count").increment(1);
        });
        let text = recorder.render();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.contains("_bucket{")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE U___434__43e__43c_ gauge",
                "U___434__43e__43c_ 2",
                "# TYPE U___438__43c__44f_ gauge",
                "U___438__43c__44f_ 1",
                "# TYPE city gauge",
                "city{U___540d__524d_=\"a\",U___90fd__5e02_=\"b\"} 1",
                "# TYPE edge gauge",
                "edge{le=\"1\"} 1",
                "# TYPE jobs histogram",
                "jobs_sum{exported_le=\"1\",U__exported_2e_le=\"2\"} 1",
                "jobs_count{exported_le=\"1\",U__exported_2e_le=\"2\"} 1",
                "# TYPE order gauge",
                "order{a=\"1\",b=\"2\"} 2",
                "# TYPE twice gauge",
                "twice{U__a_2e_b=\"1\",a_b=\"2\",U______name____=\"other\"} 1",
                "twice{a_b=\"1\"} 2",
            ]
        );
        assert!(text.contains("jobs_bucket{exported_le=\"1\",U__exported_2e_le=\"2\",le=\"+Inf\"} 1"), "{text}");
    }

    #[test]
    fn hosts_metrics_follow_with_their_description() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        recorder.describe_gauge("queue.depth".into(), None, "Jobs \\ waiting\nnow.".into());
        labelled::gauge(&recorder, &names::BUILD_INFO, &[]).set(1.0);
        metrics::with_local_recorder(&recorder, || {
            metrics::gauge!("queue.depth", "queue" => "a\"b\\c\nd").set(3.0);
            metrics::counter!("jobs_total").increment(2);
        });
        insta::assert_snapshot!(recorder.render());
    }

    /// A page of a hundred thousand lines is held in parts, in every format; protobuf holds a message.
    #[test]
    fn a_large_page_comes_in_small_parts() {
        let recorder = MonitorRecorder::new(10_000, Vec::new());
        metrics::with_local_recorder(&recorder, || {
            for number in 0..6_000 {
                metrics::histogram!("jobs_seconds", "number" => number.to_string()).record(f64::from(number) / 100.0);
            }
        });
        for (format, most) in [(Format::Text, 70_000), (Format::OpenMetrics, 70_000), (Format::Protobuf, 1_100_000)] {
            let parts: Vec<usize> = recorder.exposition(format).map(|part| part.len()).collect();
            assert!(parts.len() > 1 && parts.iter().all(|part| *part < most), "{format:?}: {parts:?}");
            assert!(parts.iter().sum::<usize>() > 1_500_000, "{format:?}: {parts:?}");
        }
    }
}
