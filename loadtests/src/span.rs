//! Durations as people write them (`60`, `60s`, `1m30s`, `250ms`, `1.5s`, `2h`), and as they read them.

use std::time::Duration;

use jiff::fmt::friendly::SpanParser;
use thiserror::Error;

/// A text that is not a duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a duration; expected something like 30, 30s, 1m30s, 250ms or 1h")]
pub(crate) struct SpanError(String);

/// Parses a duration in jiff's friendly format. A number without a unit is seconds.
///
/// Days and longer units are refused, as jiff does: their length depends on the calendar.
pub(crate) fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let bad = || SpanError(text.to_owned());
    let trimmed = text.trim();
    let is_number = trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && trimmed.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_number {
        let seconds = trimmed.parse::<f64>().map_err(|_| bad())?;
        return Duration::try_from_secs_f64(seconds).map_err(|_| bad());
    }
    static PARSER: SpanParser = SpanParser::new();
    PARSER.parse_unsigned_duration(trimmed).map_err(|_| bad())
}

/// Returns seconds as text with three significant digits: `1.23 s`, `45.6 ms`, `789 µs`.
pub(crate) fn show_seconds(seconds: f64) -> String {
    let micros = seconds * 1e6;
    if micros < 999.5 {
        format!("{micros:.0} µs")
    } else if micros < 9_995.0 {
        format!("{:.2} ms", micros / 1e3)
    } else if micros < 99_950.0 {
        format!("{:.1} ms", micros / 1e3)
    } else if micros < 999_500.0 {
        format!("{:.0} ms", micros / 1e3)
    } else if seconds < 99.95 {
        format!("{seconds:.2} s")
    } else {
        format!("{seconds:.0} s")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: f64) {
        assert_eq!(parse_span(text).map(|span| span.as_secs_f64()), Ok(expected), "{text}");
    }

    #[test]
    fn reads_what_people_write() {
        check("60", 60.0);
        check("60s", 60.0);
        check("0", 0.0);
        check("1.5s", 1.5);
        check("250ms", 0.25);
        check("750us", 0.00075);
        check("1m30s", 90.0);
        check("1h 2m", 3720.0);
        check("2h", 7200.0);
        check("1h", 3600.0);
        check("500ms", 0.5);
        check("750µs", 0.00075);
        check("60 sec", 60.0);
        check("2 minutes", 120.0);
        check("1.5h", 5400.0);
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            " ",
            "s",
            "-1s",
            "1x",
            "1 fortnight",
            "1 day",
            "5s ago",
            ".",
            "1s1s",
            "1s1m",
            "1m30",
            "1.2.3s",
            "1e9h",
            "99999999999999999999h",
        ] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_three_digits() {
        let shown: Vec<String> = [0.000_001, 0.000_999_6, 0.0123, 0.25, 1.4, 61.0, 600.0].map(show_seconds).into();
        assert_eq!(shown, ["1 µs", "1.00 ms", "12.3 ms", "250 ms", "1.40 s", "61.00 s", "600 s"]);
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = parse_span(&text);
        }
    }
}
