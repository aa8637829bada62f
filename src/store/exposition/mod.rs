//! [`Exposition`]: every series in a format that Prometheus reads.
//!
//! `families` decides what is exposed, the same for every format; `derived` computes the samples of metrics without series of
//! their own; `spelling` has names, edges and numbers; `text` writes the lines.

mod derived;
mod families;
mod spelling;
mod text;

use std::collections::HashMap;

use self::families::{Families, Family};
pub(crate) use self::{derived::OutcomeOf, text::Text};
use super::series::Index;

/// Bytes after which a part is returned: large enough that parts cost nothing, small beside the whole page.
const PART: usize = 64 * 1024;

/// The page in parts of about 64 KiB, so that a scrape of ten thousand series does not hold many megabytes at once.
pub(crate) struct Exposition {
    families: Families,
    current: Option<Family>,
    text: Text,
}

impl Exposition {
    pub(super) fn new(index: Index, descriptions: &HashMap<String, String>, outcome: Option<OutcomeOf>) -> Self {
        Self { families: Families::new(index, descriptions, outcome), current: None, text: Text::default() }
    }
}

impl Iterator for Exposition {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut part = Vec::with_capacity(PART + PART / 8);
        while part.len() < PART {
            let Some(family) = &mut self.current else {
                self.current = self.families.next();
                match &self.current {
                    Some(family) => self.text.begin(&mut part, &family.head),
                    None => break,
                }
                continue;
            };
            let (index, text) = (self.families.index(), &mut self.text);
            if !family.next_sample(index, |head, labels, value| text.sample(&mut part, head, labels, value)) {
                self.text.end(&mut part);
                self.current = None;
            }
        }
        (!part.is_empty()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics::Recorder as _;

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
}
