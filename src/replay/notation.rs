//! The values of a series, as promtool writes them.
//!
//! `a+bxn` is `a`, then `n` values that grow by `b`; `a-bxn` falls; `axn` is `a` and `n` more of it. `_` is a value that is missing,
//! `_xn` are `n` of them, and `stale` says that the series is gone. See promtool's "unit testing rules".

/// Most values of one series: a week by the minute.
const MOST: usize = 10_080;

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    Value(f64),
    Missing,
    Stale,
}

/// Reads the values of a series.
///
/// # Errors
/// Returns what is wrong with the first one that is, and what was expected.
pub(super) fn samples(text: &str) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    for item in text.split_whitespace() {
        match item {
            "stale" => samples.push(Sample::Stale),
            "_" => samples.push(Sample::Missing),
            _ => expand(item, &mut samples)?,
        }
        if samples.len() > MOST {
            return Err(format!("more than {MOST} values"));
        }
    }
    if samples.is_empty() { Err("no value; expected some such as 0+10x5".to_owned()) } else { Ok(samples) }
}

fn expand(item: &str, samples: &mut Vec<Sample>) -> Result<(), String> {
    let wrong = || format!("{item:?} is no value; expected 5, 0+10x5, 7x3, _, _x3 or stale");
    let Some((first, times)) = item.split_once('x') else {
        samples.push(Sample::Value(number(item).ok_or_else(wrong)?));
        return Ok(());
    };
    let times: usize = times.parse().map_err(|_| wrong())?;
    if times > MOST {
        return Err(format!("{item:?}: more than {MOST} values"));
    }
    if first == "_" {
        samples.extend(std::iter::repeat_n(Sample::Missing, times));
        return Ok(());
    }
    let (start, step) = match sign(first) {
        Some(at) => (number(&first[..at]), number(first[at..].strip_prefix('+').unwrap_or(&first[at..]))),
        None => (number(first), Some(0.0)),
    };
    let (start, step) = start.zip(step).ok_or_else(wrong)?;
    samples.extend((0..=times).map(|nth| Sample::Value(start + step * nth as f64)));
    Ok(())
}

/// Returns where the sign between two numbers is: not at the beginning, and not in an exponent.
fn sign(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (1..bytes.len()).find(|at| matches!(bytes[*at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E'))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = |sample: Sample| match sample {
            Sample::Value(value) => value.to_string(),
            Sample::Missing => "_".to_owned(),
            Sample::Stale => "stale".to_owned(),
        };
        let found = samples(text).map(|samples| samples.into_iter().map(shown).collect::<Vec<_>>().join(" "));
        assert_eq!(found.unwrap_or_else(|error| error), expected, "{text}");
    }

    /// The examples of promtool's documentation.
    #[test]
    fn values_are_those_that_promtool_reads() {
        check("-2+4x3", "-2 2 6 10");
        check(" 1-2x4", "1 -1 -3 -5 -7");
        check("1x4", "1 1 1 1 1");
        check("1 _x3 stale", "1 _ _ _ stale");
        check("0 _ 7", "0 _ 7");
        check("1e3+1e-1x2", "1000 1000.1 1000.2");
        check("5-0.5x1", "5 4.5");
    }

    #[test]
    fn what_is_no_value_is_reported_with_what_is() {
        let expected = "; expected 5, 0+10x5, 7x3, _, _x3 or stale";
        for text in ["a", "1+x3", "1+2xa", "NaN", "stalex2", "1+2x", "x3"] {
            check(text, &format!("{text:?} is no value{expected}"));
        }
        check("", "no value; expected some such as 0+10x5");
        check("1x100000", "\"1x100000\": more than 10080 values");
        check("1x10000 1x10000", "more than 10080 values");
    }
}
