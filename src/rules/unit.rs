//! Quantities as people write and read them.
//!
//! A [`Unit`] turns `250ms`, `10%`, `1GB` or `20/s` into the base unit that every measure is kept in, and back. It
//! refuses what would need a guess: a duration without its unit, or bytes where a share is meant. Invariant: what
//! [`Unit::render`] writes, [`Unit::parse`] reads.

use thiserror::Error;

use super::suggest::nearest;

/// The base unit of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    /// Time, in seconds.
    Seconds,
    /// A share; 1 is the whole.
    Ratio,
    /// Sizes, in bytes.
    Bytes,
    /// Growth, in bytes an hour.
    BytesPerHour,
    /// Transfer, in bytes a second.
    BytesPerSecond,
    /// Frequencies, in events a second.
    PerSecond,
    /// Anything that is counted.
    Count,
}

/// Why a text is not a quantity of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UnitError {
    #[error("{found:?} is not a number; expected {expected}")]
    NotANumber { found: String, expected: &'static str },
    #[error("no unit in {found:?}; expected one of {expected}")]
    Missing { found: String, expected: String },
    #[error("unknown unit in {found:?}; expected one of {expected}{}", meant(.suggestion))]
    Unknown { found: String, expected: String, suggestion: Option<String> },
    #[error("{found:?} has a unit; expected a plain number")]
    Unexpected { found: String },
    #[error("{found:?} has a comma; expected digits, with a point before decimals, such as {example}")]
    Comma { found: String, example: String },
    #[error("{found:?} is too large")]
    TooLarge { found: String },
}

/// Returns a number with a comma as it may have been meant: before three digits it separates thousands, and else decimals.
fn with_point(text: &str) -> String {
    let (whole, rest) = text.split_once(',').unwrap_or((text, ""));
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if digits == 3 { text.replace(',', "") } else { format!("{whole}.{rest}") }
}

fn meant(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |suggestion| format!("; did you mean {suggestion}?"))
}

/// What turns a number into the base unit: a power of ten, which shifts the decimal point of the text so that `57%` is
/// 0.57 and not the nearest neighbour that a multiplication makes, and a factor and a divisor, at most one of them not 1.
#[derive(Clone, Copy, Debug)]
struct Scale {
    exponent: i32,
    factor: f64,
    divisor: f64,
}

const fn ten_to(exponent: i32) -> Scale {
    Scale { exponent, factor: 1.0, divisor: 1.0 }
}

const fn times(factor: f64) -> Scale {
    Scale { exponent: 0, factor, divisor: 1.0 }
}

impl Scale {
    /// Reads a number of digits with at most one point.
    fn read(self, number: &str) -> Option<f64> {
        let shifted: f64 = format!("{number}e{}", self.exponent).parse().ok()?;
        Some(shifted * self.factor / self.divisor)
    }

    /// Returns the base units in one.
    fn one(self) -> f64 {
        10_f64.powi(self.exponent) * self.factor / self.divisor
    }

    /// Converts a rate per `per` seconds into a rate per `base` seconds.
    fn per(self, per: f64, base: f64) -> Self {
        let (factor, divisor) = if base >= per { (base / per, 1.0) } else { (1.0, per / base) };
        Self { factor: self.factor * factor, divisor: self.divisor * divisor, ..self }
    }
}

const TIME: &[(&str, Scale)] =
    &[("ms", ten_to(-3)), ("s", ten_to(0)), ("m", times(60.0)), ("h", times(3600.0)), ("d", times(86_400.0))];
const SHARE: &[(&str, Scale)] = &[("%", ten_to(-2))];
const SIZE: &[(&str, Scale)] = &[
    ("B", ten_to(0)),
    ("kB", ten_to(3)),
    ("MB", ten_to(6)),
    ("GB", ten_to(9)),
    ("TB", ten_to(12)),
    ("KiB", times(1024.0)),
    ("MiB", times(1_048_576.0)),
    ("GiB", times(1_073_741_824.0)),
    ("TiB", times(1_099_511_627_776.0)),
];
const PER: &[(&str, f64)] = &[("s", 1.0), ("m", 60.0), ("h", 3600.0)];

impl Unit {
    #[cfg(any(test, feature = "schema"))]
    pub(crate) const ALL: [Unit; 7] = [
        Self::Seconds,
        Self::Ratio,
        Self::Bytes,
        Self::BytesPerHour,
        Self::BytesPerSecond,
        Self::PerSecond,
        Self::Count,
    ];

    /// Returns the name that JSON gives beside a value.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Ratio => "ratio",
            Self::Bytes => "bytes",
            Self::BytesPerHour => "bytes_per_hour",
            Self::BytesPerSecond => "bytes_per_second",
            Self::PerSecond => "per_second",
            Self::Count => "count",
        }
    }

    /// Returns what a person should have written, for messages.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Seconds => "a duration such as 250ms",
            Self::Ratio => "a share such as 10%",
            Self::Bytes => "a size such as 512MiB",
            Self::BytesPerHour => "a growth such as 10MB/h",
            Self::BytesPerSecond => "a rate such as 10MB/s",
            Self::PerSecond => "a rate such as 20/s",
            Self::Count => "a number such as 5",
        }
    }

    /// Reads a quantity into the base unit.
    ///
    /// Shares and counts may be plain numbers; everything else names its unit. `KB` is read as `kB`.
    ///
    /// # Errors
    /// Says what was found, what was expected and, for a unit that is nearly right, which one was meant.
    pub(crate) fn parse(self, text: &str) -> Result<f64, UnitError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        if number.parse::<f64>().is_err() {
            return Err(UnitError::NotANumber { found: text.to_owned(), expected: self.example() });
        }
        if unit.starts_with(',') {
            return Err(UnitError::Comma { found: text.to_owned(), example: with_point(text) });
        }
        let value = self.scale(unit, text)?.read(number).unwrap_or(f64::INFINITY);
        if value.is_finite() { Ok(value) } else { Err(UnitError::TooLarge { found: text.to_owned() }) }
    }

    fn scale(self, unit: &str, text: &str) -> Result<Scale, UnitError> {
        if unit.is_empty() && matches!(self, Self::Ratio | Self::Count) {
            return Ok(ten_to(0));
        }
        let names = self.names();
        if names.is_empty() {
            return Err(UnitError::Unexpected { found: text.to_owned() });
        }
        let known = unit.replacen("KB", "kB", 1);
        if let Some((_, scale)) = names.iter().find(|(name, _)| *name == known) {
            return Ok(*scale);
        }
        let found = text.to_owned();
        let expected = self.expected();
        if unit.is_empty() {
            return Err(UnitError::Missing { found, expected });
        }
        // A name of one or two letters is near to every other, so only a difference of case suggests one.
        let suggestion = names
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(name, _)| name.as_str())
            .or_else(|| nearest(unit, names.iter().map(|(name, _)| name.as_str()).filter(|name| name.len() > 2)));
        let suggestion = suggestion.map(|name| format!("{}{name}", text[..text.len() - unit.len()].trim_end()));
        Err(UnitError::Unknown { found, expected, suggestion })
    }

    /// Every unit a quantity may be written in, with its scale.
    fn names(self) -> Vec<(String, Scale)> {
        let plain = |units: &[(&str, Scale)]| units.iter().map(|(name, scale)| ((*name).to_owned(), *scale)).collect();
        let sizes_per = |base: f64| {
            PER.iter()
                .flat_map(|(per, seconds)| {
                    SIZE.iter().map(move |(size, scale)| (format!("{size}/{per}"), scale.per(*seconds, base)))
                })
                .collect()
        };
        match self {
            Self::Seconds => plain(TIME),
            Self::Ratio => plain(SHARE),
            Self::Bytes => plain(SIZE),
            Self::BytesPerHour => sizes_per(3600.0),
            Self::BytesPerSecond => sizes_per(1.0),
            Self::PerSecond => {
                PER.iter().map(|(per, seconds)| (format!("/{per}"), ten_to(0).per(*seconds, 1.0))).collect()
            }
            Self::Count => Vec::new(),
        }
    }

    /// Returns the units as a message lists them.
    pub(super) fn expected(self) -> String {
        match self {
            Self::BytesPerHour => "MB/h, MiB/h and the like".to_owned(),
            Self::BytesPerSecond => "MB/s, MiB/s and the like".to_owned(),
            _ => self.names().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", "),
        }
    }

    /// Writes a value for people, to three significant digits: `1.2s`, `240ms`, `25%`, `1.1GB`.
    pub(crate) fn render(self, value: f64) -> String {
        match self {
            Self::Seconds => render_seconds(value),
            Self::Ratio => format!("{}%", significant(value * 100.0)),
            Self::Bytes => render_bytes(value),
            Self::BytesPerHour => format!("{}/h", render_bytes(value)),
            Self::BytesPerSecond => format!("{}/s", render_bytes(value)),
            Self::PerSecond => format!("{}/s", significant(value)),
            Self::Count => significant(value),
        }
    }
}

/// Rounds to three significant digits, the whole part never cut, trailing zeros dropped.
fn significant(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    // Below 1e-9 nothing that is measured here has a meaning.
    let decimals = (2.0 - magnitude).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    // A sum of nothing is a negative zero in floating point.
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Rounds as [`significant`] does, so that the unit is chosen for the number that will be shown.
fn rounded(value: f64) -> f64 {
    significant(value).parse().unwrap_or(value)
}

fn render_seconds(seconds: f64) -> String {
    let milliseconds = rounded(seconds * 1e3);
    if milliseconds.abs() < 1000.0 {
        return format!("{}ms", significant(seconds * 1e3));
    }
    if rounded(seconds).abs() < 60.0 {
        return format!("{}s", significant(seconds));
    }
    if rounded(seconds / 60.0).abs() < 60.0 {
        return format!("{}m", significant(seconds / 60.0));
    }
    // Days only where they are whole, and hours are no longer read at a glance.
    let days = seconds / 86_400.0;
    if days.abs() >= 3.0 && days.fract() == 0.0 {
        return format!("{}d", significant(days));
    }
    format!("{}h", significant(seconds / 3600.0))
}

fn render_bytes(bytes: f64) -> String {
    let decimal = &SIZE[..5];
    let (name, scale) =
        decimal.iter().rev().find(|(_, scale)| rounded(bytes / scale.one()).abs() >= 1.0).unwrap_or(&SIZE[0]);
    format!("{}{name}", significant(bytes / scale.one()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reads(unit: Unit, text: &str, expected: f64) {
        let value = unit.parse(text).expect(text);
        assert!((value - expected).abs() <= expected.abs() * 1e-12, "{text}: {value} is not {expected}");
    }

    #[track_caller]
    fn refuses(unit: Unit, text: &str, message: &str) {
        assert_eq!(unit.parse(text).expect_err(text).to_string(), message);
    }

    #[track_caller]
    fn renders(unit: Unit, value: f64, expected: &str) {
        assert_eq!(unit.render(value), expected);
    }

    #[test]
    fn quantities_are_read_as_people_write_them() {
        reads(Unit::Seconds, "1s", 1.0);
        reads(Unit::Seconds, " 250ms", 0.25);
        reads(Unit::Seconds, "1.5 h", 5400.0);
        reads(Unit::Seconds, "1m", 60.0);
        reads(Unit::Ratio, "10%", 0.1);
        reads(Unit::Ratio, "0.1", 0.1);
        reads(Unit::Bytes, "1GB", 1e9);
        reads(Unit::Bytes, "512MiB", 536_870_912.0);
        reads(Unit::Bytes, "4KB", 4000.0);
        reads(Unit::BytesPerHour, "10MB/h", 1e7);
        reads(Unit::BytesPerHour, "1kB/s", 3.6e6);
        reads(Unit::BytesPerSecond, "60MB/m", 1e6);
        reads(Unit::PerSecond, "20/s", 20.0);
        reads(Unit::PerSecond, "30/m", 0.5);
        reads(Unit::Count, "5", 5.0);
    }

    /// A limit is compared with a quotient of counts or of nanoseconds, and is an edge of a histogram: it must be the
    /// very number that these are.
    #[test]
    fn limits_are_exact() {
        for hundredths in 0..=1000_u32 {
            let share = Unit::Ratio.parse(&format!("{hundredths}%")).expect("a share");
            assert_eq!(share.to_bits(), (f64::from(hundredths) / 100.0).to_bits(), "{hundredths}%");
            let tenths = format!("{}.{}%", hundredths / 10, hundredths % 10);
            let share = Unit::Ratio.parse(&tenths).expect("a share");
            assert_eq!(share.to_bits(), (f64::from(hundredths) / 1000.0).to_bits(), "{tenths}");
        }
        for milliseconds in 0..=20_000_u32 {
            let time = Unit::Seconds.parse(&format!("{milliseconds}ms")).expect("a time");
            assert_eq!(time.to_bits(), (f64::from(milliseconds) / 1000.0).to_bits(), "{milliseconds}ms");
        }
        for a_minute in 0..=1000_u32 {
            let rate = Unit::PerSecond.parse(&format!("{a_minute}/m")).expect("a rate");
            assert_eq!(rate.to_bits(), (f64::from(a_minute) / 60.0).to_bits(), "{a_minute}/m");
        }
        assert_eq!(Unit::Bytes.parse("1.1GB").expect("a size").to_bits(), 1_100_000_000_f64.to_bits());
        assert_eq!(Unit::BytesPerHour.parse("1.1kB/m").expect("a growth").to_bits(), 66_000_f64.to_bits());
    }

    #[test]
    fn wrong_quantities_say_what_was_expected() {
        refuses(Unit::Seconds, "1sec", "unknown unit in \"1sec\"; expected one of ms, s, m, h, d");
        refuses(Unit::Seconds, "1", "no unit in \"1\"; expected one of ms, s, m, h, d");
        refuses(Unit::Seconds, "fast", "\"fast\" is not a number; expected a duration such as 250ms");
        refuses(Unit::Seconds, "", "\"\" is not a number; expected a duration such as 250ms");
        refuses(Unit::Seconds, "-1s", "\"-1s\" is not a number; expected a duration such as 250ms");
        refuses(Unit::Seconds, "1.2.3s", "\"1.2.3s\" is not a number; expected a duration such as 250ms");
        let comma = "has a comma; expected digits, with a point before decimals, such as";
        refuses(Unit::Ratio, "99,9%", &format!("\"99,9%\" {comma} 99.9%"));
        refuses(Unit::Seconds, "1,25 s", &format!("\"1,25 s\" {comma} 1.25 s"));
        refuses(Unit::Count, "10,000,000", &format!("\"10,000,000\" {comma} 10000000"));
        refuses(Unit::Ratio, "10ms", "unknown unit in \"10ms\"; expected one of %");
        refuses(
            Unit::Bytes,
            "1gb",
            "unknown unit in \"1gb\"; expected one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; did you mean 1GB?",
        );
        refuses(Unit::BytesPerHour, "10MB", "unknown unit in \"10MB\"; expected one of MB/h, MiB/h and the like");
        refuses(Unit::PerSecond, "20", "no unit in \"20\"; expected one of /s, /m, /h");
        refuses(Unit::Count, "5s", "\"5s\" has a unit; expected a plain number");
        refuses(Unit::Bytes, &format!("1{}TB", "0".repeat(300)), &format!("\"1{}TB\" is too large", "0".repeat(300)));
    }

    #[test]
    fn values_are_rendered_for_people() {
        renders(Unit::Seconds, 1.2, "1.2s");
        renders(Unit::Seconds, 1.204, "1.2s");
        renders(Unit::Seconds, 0.24, "240ms");
        renders(Unit::Seconds, 0.999_9, "1s");
        renders(Unit::Seconds, 0.001_234, "1.23ms");
        renders(Unit::Seconds, 0.000_02, "0.02ms");
        renders(Unit::Seconds, 59.99, "1m");
        renders(Unit::Seconds, 300.0, "5m");
        renders(Unit::Seconds, 7200.0, "2h");
        renders(Unit::Seconds, 0.0, "0ms");
        renders(Unit::Ratio, 0.25, "25%");
        renders(Unit::Ratio, 0.0004, "0.04%");
        renders(Unit::Bytes, 1.1e9, "1.1GB");
        renders(Unit::Bytes, 999_999.0, "1MB");
        renders(Unit::Bytes, 0.0, "0B");
        renders(Unit::BytesPerHour, 1e7, "10MB/h");
        renders(Unit::PerSecond, 20.0, "20/s");
        renders(Unit::Count, 12_345.0, "12345");
    }

    proptest! {
        #[test]
        fn what_is_rendered_can_be_read(value in 1e-4_f64..1e14, unit in prop::sample::select(&Unit::ALL)) {
            let read = unit.parse(&unit.render(value)).expect("what is rendered is readable");
            prop_assert!((read - value).abs() <= value * 0.006, "{} for {}", unit.render(value), value);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,20}", unit in prop::sample::select(&Unit::ALL)) {
            if let Ok(value) = unit.parse(&text) {
                prop_assert!(value.is_finite() && value >= 0.0);
            }
        }
    }
}
