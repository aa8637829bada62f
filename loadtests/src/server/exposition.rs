//! Reads Prometheus' text format: samples with their labels, nothing more.

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Sample {
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

/// The samples of a text whose name begins with `prefix`; lines that make no sense are passed over.
pub(super) fn samples(text: &str, prefix: &str) -> Vec<Sample> {
    text.lines().filter(|line| line.starts_with(prefix)).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
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
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A quoted text up to its closing quote, escapes resolved, and what follows it.
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
        let read = samples(text, "a_");
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].label("route"), read[0].label("q"), read[0].value), ("/x/{id}", "a\"b\n", 12.0));
        assert_eq!((read[1].name.as_str(), read[1].value), ("a_sum", 0.5));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a{}=\",\\\\ n1.é]{0,40}") {
            let _ = samples(&text, "");
        }
    }
}
