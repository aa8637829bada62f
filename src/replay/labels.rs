//! The name of a series with its labels, as Prometheus writes it.

use std::collections::BTreeMap;

/// A metric's name and the labels of one of its series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesName {
    pub(super) metric: String,
    pub(super) labels: BTreeMap<String, String>,
}

impl SeriesName {
    /// Reads `name` or `name{label="value"}`.
    ///
    /// # Errors
    /// Returns what was expected.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no series; expected one such as mails_total{{queue=\"new\"}}");
        let text = text.trim();
        let (metric, rest) = match text.split_once('{') {
            Some((metric, rest)) => (metric.trim(), Some(rest.strip_suffix('}').ok_or_else(wrong)?)),
            None => (text, None),
        };
        let mut labels = BTreeMap::new();
        let mut rest = rest.unwrap_or_default().trim();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or_else(wrong)?;
            let (value, after) = quoted(after.trim_start()).ok_or_else(wrong)?;
            let name = name.trim();
            if !is_name(name) {
                return Err(wrong());
            }
            if labels.insert(name.to_owned(), value).is_some() {
                return Err(format!("label {name} stands twice in {text:?}"));
            }
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(after) => after.trim_start(),
                None if after.is_empty() => after,
                None => return Err(wrong()),
            };
        }
        if is_name(metric) { Ok(Self { metric: metric.to_owned(), labels }) } else { Err(wrong()) }
    }
}

fn is_name(text: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '-' | '/');
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(is_sign)
}

/// Reads a text in double quotes, with `\"`, `\\` and `\n` in it, and returns what follows it.
pub(super) fn quoted(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &inside[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
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
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &[(&str, &str)])>) {
        let read = SeriesName::read(text).ok().map(|name| (name.metric, name.labels));
        let expected = expected.map(|(metric, labels)| {
            (metric.to_owned(), labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
        });
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn names_are_read_as_prometheus_writes_them() {
        check("up", Some(("up", &[])));
        check("up{}", Some(("up", &[])));
        check(
            " mails_total { queue = \"new\" , to=\"a\\\"b\", } ",
            Some(("mails_total", &[("queue", "new"), ("to", "a\"b")])),
        );
        for text in ["", "{}", "a b", "up{", "up{a}", "up{a=1}", "up{a=\"1\" b=\"2\"}", "up{a=\"1\",a=\"2\"}", "1up"] {
            check(text, None);
        }
    }
}
