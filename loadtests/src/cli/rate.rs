//! `--rate`: `200/s`, `12000/min`, `200`.

use std::str::FromStr;

use thiserror::Error;

/// Iterations a second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Rate(f64);

/// A text that is not a rate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a rate; expected something like 200/s, 200 or 3000/min, from 0.01 to 1000000 a second")]
pub(crate) struct RateError(String);

impl Rate {
    /// Returns the number of iterations a second.
    pub(crate) fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || RateError(text.to_owned());
        let (number, unit) = text.trim().split_once('/').unwrap_or((text.trim(), "s"));
        let seconds = match unit.trim() {
            "s" | "sec" | "second" => 1.0,
            "m" | "min" | "minute" => 60.0,
            "h" | "hour" => 3600.0,
            _ => return Err(bad()),
        };
        let rate = number.trim().parse::<f64>().map_err(|_| bad())? / seconds;
        if (0.01..=1_000_000.0).contains(&rate) { Ok(Self(rate)) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_rates() {
        for (text, expected) in [("200/s", 200.0), ("200", 200.0), ("3000/min", 50.0), ("0.5/s", 0.5), (" 7 / s ", 7.0)]
        {
            assert_eq!(text.parse::<Rate>().map(Rate::per_second), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "0", "-1/s", "x/s", "1/day", "inf", "NaN", "9999999/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = text.parse::<Rate>();
        }
    }
}
