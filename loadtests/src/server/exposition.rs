//! Reads samples with their labels from Prometheus' text format; types, help texts and timestamps are skipped.

/// One sample of a metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MetricSample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl MetricSample {
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

/// Returns the samples whose name begins with `prefix`; lines that cannot be read are skipped.
pub(super) fn parse_samples(text: &str, prefix: &str) -> Vec<MetricSample> {
    text.lines().filter(|line| line.starts_with(prefix)).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<MetricSample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.trim_start();
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once("=\"")?;
            let (value, behind) = quoted(behind)?;
            labels.push((label.trim_start_matches([',', ' ']).to_owned(), value));
            rest = behind.trim_start();
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(MetricSample { name: name.to_owned(), labels, value })
}

/// Returns a quoted text up to its closing quote with its escapes resolved, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_samples() {
        let text = "# HELP a b\na_count{route=\"/x/{id}\",q=\"a\\\"b\\n\"} 12\na_sum 0.5\nb 1\na_bad{x=\"1\n";
        let read = parse_samples(text, "a_");
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].label("route"), read[0].label("q"), read[0].value), ("/x/{id}", "a\"b\n", 12.0));
        assert_eq!((read[1].name.as_str(), read[1].value), ("a_sum", 0.5));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a{}=\",\\\\ n1.é]{0,40}") {
            let _ = parse_samples(&text, "");
        }
    }
}
