//! How names, values and numbers are spelt, the same in every format.
//!
//! The invariant that a change could break: two names of a host that differ in more than punctuation stay two names, and a
//! series has the same name, labels and `le` in every format.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use metrics_exporter_prometheus::formatting::{sanitize_label_key, sanitize_metric_name};

/// Prefix of a name that is spelt in [`by_code_points`].
const BY_CODE_POINTS: &str = "U__";

/// End of the name of a counter's series.
pub(super) const TOTAL: &str = "_total";

/// Returns the name of a metric as it is exposed. Without `_total` something must be left, or readers that take it away refuse the
/// whole page.
pub(crate) fn metric_name(name: &str) -> Cow<'_, str> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':');
    let spelt = spelt(name, is_allowed, sanitize_metric_name);
    if spelt == TOTAL { by_code_points(name).into() } else { spelt }
}

/// Returns the name of a label as it is exposed. A name that begins with two underscores is Prometheus's own, and a strict
/// reader refuses the whole page for it.
pub(crate) fn label_name(name: &str) -> Cow<'_, str> {
    let spelt = spelt(name, is_of_label, sanitize_label_key);
    if spelt.starts_with("__") { by_code_points(name).into() } else { spelt }
}

/// Returns the name of a label whose usual spelling another label of the series has.
pub(super) fn second_label_name(name: &str) -> String {
    by_code_points(name)
}

fn is_of_label(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Leaves `sanitize` to put an underscore in place of what is not allowed, and puts one before a digit at the start, which would be
/// lost. A name with other letters than ASCII's, or with symbols, would become a row of underscores, like any other name of its
/// length: it is spelt in code points.
fn spelt(name: &str, is_allowed: impl Fn(char) -> bool, sanitize: fn(&str) -> String) -> Cow<'_, str> {
    let starts_with_digit = name.starts_with(|letter: char| letter.is_ascii_digit());
    if !starts_with_digit && name.chars().all(&is_allowed) {
        return name.into();
    }
    if name.chars().any(is_more_than_punctuation) {
        return by_code_points(name).into();
    }
    if starts_with_digit { sanitize(&format!("_{name}")) } else { sanitize(name) }.into()
}

/// Returns whether a sign is a letter or a digit that is not ASCII's, or comes after Unicode's block of general punctuation, where
/// the symbols are.
fn is_more_than_punctuation(sign: char) -> bool {
    const LAST_OF_GENERAL_PUNCTUATION: char = '\u{206f}';
    !sign.is_ascii() && (sign.is_alphanumeric() || sign > LAST_OF_GENERAL_PUNCTUATION)
}

/// Spells a name so that no other one has the same spelling: Prometheus's escaping scheme `values`, in which an underscore is two
/// of them, and any other sign its code point between underscores.
fn by_code_points(name: &str) -> String {
    let mut spelt = String::from(BY_CODE_POINTS);
    for letter in name.chars() {
        match letter {
            '_' => spelt.push_str("__"),
            letter if letter.is_ascii_alphanumeric() => spelt.push(letter),
            letter => write!(spelt, "_{:x}_", u32::from(letter)).expect("writing to a String never fails"),
        }
    }
    spelt
}

/// Appends the value of a label, in which a backslash, a quote and a line feed are escaped.
pub(super) fn push_label_value(out: &mut Vec<u8>, value: &str) {
    push_escaped(out, value, true);
}

/// Appends a help text, in which a backslash and a line feed are escaped, and with `quotes` a quote as well.
pub(super) fn push_help(out: &mut Vec<u8>, help: &str, quotes: bool) {
    push_escaped(out, help, quotes);
}

fn push_escaped(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n') || (quotes && *byte == b'"')) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(if rest[at] == b'\n' { b'n' } else { rest[at] });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Returns a bucket's upper edge as the label `le` has it: OpenMetrics's canonical form, which is that of Go, with a point or an
/// exponent in every number. Prometheus 3 rewrites other forms to it, and Prometheus 2 takes what it reads; only one form in all
/// formats makes one series of a bucket.
pub(super) fn edge(edge: f64) -> String {
    if edge == f64::INFINITY {
        return "+Inf".to_owned();
    }
    let scientific = format!("{edge:e}");
    let (digits, exponent) = scientific.split_once('e').expect("it is written with an exponent");
    let exponent: i32 = exponent.parse().expect("it is a number");
    if (-4..6).contains(&exponent) {
        let plain = edge.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Lets numbers be formatted without a text of their own.
struct Appended<'a>(&'a mut Vec<u8>);

impl fmt::Write for Appended<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends a value.
pub(super) fn push_number(out: &mut Vec<u8>, value: f64) {
    match value {
        f64::INFINITY => out.extend_from_slice(b"+Inf"),
        f64::NEG_INFINITY => out.extend_from_slice(b"-Inf"),
        // Its digits would be mostly zeros.
        _ if value != 0.0 && !(1e-9..1e21).contains(&value.abs()) && !value.is_nan() => {
            write!(Appended(out), "{value:e}").expect("appending never fails");
        }
        _ => write!(Appended(out), "{value}").expect("appending never fails"),
    }
}

/// Appends a count.
pub(super) fn push_count(out: &mut Vec<u8>, count: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_tells_them_apart() {
        #[track_caller]
        fn check(name: &str, metric: &str, label: &str) {
            assert_eq!((&*metric_name(name), &*label_name(name)), (metric, label), "{name}");
        }
        check("jobs_total", "jobs_total", "jobs_total");
        check("queue.depth", "queue_depth", "queue_depth");
        check("ns:jobs", "ns:jobs", "ns_jobs");
        check("2xx.count", "_2xx_count", "_2xx_count");
        check("5xx.count", "_5xx_count", "_5xx_count");
        check("имя", "U___438__43c__44f_", "U___438__43c__44f_");
        check("дом", "U___434__43e__43c_", "U___434__43e__43c_");
        check("größe_x", "U__gr_f6__df_e__x", "U__gr_f6__df_e__x");
        check("a–b", "a_b", "a_b");
        check("a·b", "a_b", "a_b");
        check("✓", "U___2713_", "U___2713_");
        check("✗", "U___2717_", "U___2717_");
        check("jobs_📦", "U__jobs___1f4e6_", "U__jobs___1f4e6_");
        check("__name__", "__name__", "U______name____");
        check("--x", "__x", "U___2d__2d_x");
        check("_total", "U____total", "_total");
        check("", "", "");
    }

    #[test]
    fn label_values_keep_every_sign() {
        #[track_caller]
        fn check(value: &str, escaped: &str) {
            let mut out = Vec::new();
            push_label_value(&mut out, value);
            assert_eq!(String::from_utf8(out).expect("UTF-8"), escaped, "{value}");
        }
        check("", "");
        check("a\"b\\c\nd", "a\\\"b\\\\c\\nd");
        check("\\\\server\\share", "\\\\\\\\server\\\\share");
        check("\\n", "\\\\n");
        check("\\\"", "\\\\\\\"");
        check("\\\n", "\\\\\\n");
        check("名前", "名前");
    }

    #[test]
    fn edges_are_in_canonical_form() {
        #[track_caller]
        fn check(value: f64, canonical: &str) {
            assert_eq!(edge(value), canonical);
        }
        check(0.0, "0.0");
        check(1.0, "1.0");
        check(0.005, "0.005");
        check(2.5, "2.5");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(14_400.0, "14400.0");
        check(262_144.0, "262144.0");
        check(1e6, "1e+06");
        check(1_048_576.0, "1.048576e+06");
        check(1e21, "1e+21");
        check(-2.0, "-2.0");
        check(f64::INFINITY, "+Inf");
    }

    #[test]
    fn numbers_are_short_and_exact() {
        #[track_caller]
        fn check(value: f64, text: &str) {
            let mut out = Vec::new();
            push_number(&mut out, value);
            assert_eq!(String::from_utf8(out).expect("UTF-8"), text);
            assert!(value.is_nan() || text.parse() == Ok(value), "{text}");
        }
        check(0.0, "0");
        check(3.0, "3");
        check(50.204_000_1, "50.2040001");
        check(1.797e308, "1.797e308");
        check(5e-324, "5e-324");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }
}
