//! The texts of alerts, as templates of Prometheus.
//!
//! The invariant that a change could break: what a rule file says stands in the alert as it is written there, also where Prometheus
//! would read it as a command.

use crate::rules::Unit;

/// Returns how the templates of Prometheus write the value of a label.
pub(super) fn label(name: &str) -> String {
    format!("{{{{ $labels.{name} }}}}")
}

/// Returns how they write the value of an alert.
pub(super) fn value(unit: Unit) -> String {
    match unit {
        Unit::Seconds => "{{ $value | humanizeDuration }}",
        Unit::Ratio => "{{ $value | humanizePercentage }}",
        Unit::Bytes => "{{ $value | humanize1024 }}B",
        Unit::BytesPerHour => "{{ $value | humanize1024 }}B an hour",
        Unit::BytesPerSecond => "{{ $value | humanize1024 }}B a second",
        Unit::PerSecond => "{{ $value | humanize }} a second",
        Unit::Count => "{{ $value | humanize }}",
    }
    .to_owned()
}

/// Returns how they write a text that is no command. At its end one bracket is enough for the start of one, with what follows it.
pub(super) fn literal(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        written.push_str(&rest[..at]);
        let after = rest[at..].trim_start_matches('{');
        let brackets = &rest[at..rest.len() - after.len()];
        match brackets {
            "{" if !after.is_empty() => written.push_str(brackets),
            _ => written.push_str(&format!("{{{{ \"{brackets}\" }}}}")),
        }
        rest = after;
    }
    written + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_of_a_text_begin_no_command() {
        #[track_caller]
        fn check(text: &str, written: &str) {
            assert_eq!(literal(text), written, "{text}");
        }
        check("", "");
        check("GET /orders/{id} is slow", "GET /orders/{id} is slow");
        check("x {{ nope }} ", r#"x {{ "{{" }} nope }} "#);
        check("{{{", r#"{{ "{{{" }}"#);
        check("before a value: {", r#"before a value: {{ "{" }}"#);
        check("} after one", "} after one");
        check("größe {{é", r#"größe {{ "{{" }}é"#);
    }
}
