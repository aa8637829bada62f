//! [`Threshold`]: `p95<200ms`, `error-rate<1%`, `rps>=200`, `dropped<1%`, `p99<2s for GET /checkout`.
//!
//! The grammar is Goose's, so that its users need not learn another one. The numbers are this tool's: latencies to the last
//! byte of everything sent, failures ranked behind every success.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{record::EndpointName, span::show_seconds};

/// The number that a threshold limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metric {
    /// A latency percentile, as a share from 0 to 1.
    Percentile(f64),
    /// A percentile of the time to the response head.
    FirstByte(f64),
    /// Mean latency.
    Average,
    /// Greatest latency.
    Maximum,
    /// Share of failed requests.
    ErrorRate,
    /// Requests a second.
    RequestsPerSecond,
    /// Share of an open model's iterations that sent nothing.
    Dropped,
    /// Share of an open model's iterations that began late.
    Late,
}

/// How the observed value is compared with the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// Below.
    Less,
    /// At or below.
    LessOrEqual,
    /// Above.
    Greater,
    /// At or above.
    GreaterOrEqual,
}

impl Operator {
    /// Returns whether an observed value passes.
    pub(crate) fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Self::Less => observed < limit,
            Self::LessOrEqual => observed <= limit,
            Self::Greater => observed > limit,
            Self::GreaterOrEqual => observed >= limit,
        }
    }
}

/// A condition that a run must meet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    /// The number that is limited.
    pub(crate) metric: Metric,
    /// How it is compared.
    pub(crate) operator: Operator,
    /// The limit: seconds, a share from 0 to 1, or requests a second.
    pub(crate) limit: f64,
    /// The endpoint, such as `GET /checkout` or `/checkout`; all requests without one.
    pub(crate) endpoint: Option<String>,
}

/// A text that cannot be read as a threshold.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ThresholdError {
    /// No operator in it.
    #[error("\"{0}\" compares nothing; expected something like p95<200ms, error-rate<1% or \"rps>100 for GET /api\"")]
    NoComparison(String),
    /// A metric that does not exist.
    #[error(
        "unknown metric \"{0}\"; expected p50, p95, p99.9 …, first-byte-p95, avg, max, error-rate, rps, dropped or late"
    )]
    UnknownMetric(String),
    /// A limit that does not fit the metric.
    #[error("\"{0}\" is no limit for {1}; expected something like {2}")]
    BadLimit(String, String, &'static str),
    /// A share of iterations, which may have requests to several endpoints.
    #[error("\"{0}\": iterations are dropped or late, not requests to one endpoint; leave out \"for …\"")]
    WholeRunOnly(String),
    /// A condition that nothing can meet.
    #[error("\"{0}\" can never hold")]
    Impossible(String),
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (condition, endpoint) = match text.split_once(" for ") {
            Some((condition, endpoint)) => (condition, Some(endpoint.trim().to_owned())),
            None => (text, None),
        };
        let at = condition.find(['<', '>']).ok_or_else(|| ThresholdError::NoComparison(text.to_owned()))?;
        let (name, behind) = condition.split_at(at);
        let (operator, limit_text) = match (behind.starts_with('<'), behind[1..].strip_prefix('=')) {
            (true, Some(rest)) => (Operator::LessOrEqual, rest),
            (true, None) => (Operator::Less, &behind[1..]),
            (false, Some(rest)) => (Operator::GreaterOrEqual, rest),
            (false, None) => (Operator::Greater, &behind[1..]),
        };
        let (name, limit_text) = (name.trim(), limit_text.trim());
        let metric = Metric::from_str(name)?;
        let limit = metric
            .limit(limit_text)
            .ok_or_else(|| ThresholdError::BadLimit(limit_text.to_owned(), name.to_owned(), metric.example()))?;
        let never = match operator {
            Operator::Less => limit <= 0.0,
            Operator::Greater => metric.is_share() && limit >= 1.0,
            Operator::LessOrEqual | Operator::GreaterOrEqual => false,
        };
        if never {
            return Err(ThresholdError::Impossible(text.to_owned()));
        }
        if metric.needs_rate() && endpoint.is_some() {
            return Err(ThresholdError::WholeRunOnly(text.to_owned()));
        }
        Ok(Self { text: text.to_owned(), metric, operator, limit, endpoint })
    }
}

impl Threshold {
    /// Returns whether another one asks for the same, however both are written: `p95<200ms` and `p95 < 0.2s`.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.metric, self.operator, &self.endpoint) == (other.metric, other.operator, &other.endpoint)
            && (self.limit - other.limit).abs() <= 1e-12 * self.limit.max(other.limit)
    }

    /// Returns whether it names this endpoint, by its name or its path.
    pub(crate) fn is_about(&self, name: &EndpointName) -> bool {
        self.endpoint.as_ref().is_some_and(|wanted| *wanted == name.path || *wanted == name.to_string())
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Metric {
    type Err = ThresholdError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || ThresholdError::UnknownMetric(name.to_owned());
        let percentile = |text: &str| {
            let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
            (percent > 0.0 && percent < 100.0).then_some((percent * 1e7).round() / 1e9)
        };
        Ok(match name.replace('_', "-").as_str() {
            "avg" | "mean" | "average" => Self::Average,
            "max" => Self::Maximum,
            "error-rate" | "errors" => Self::ErrorRate,
            "rps" => Self::RequestsPerSecond,
            "dropped" | "dropped-iterations" => Self::Dropped,
            "late" => Self::Late,
            other => match other.strip_prefix("first-byte-") {
                Some(rest) => Self::FirstByte(percentile(rest).ok_or_else(unknown)?),
                None => Self::Percentile(percentile(other).ok_or_else(unknown)?),
            },
        })
    }
}

impl Metric {
    /// Whether only an open model has this number, since only there iterations are scheduled.
    pub(crate) fn needs_rate(self) -> bool {
        matches!(self, Self::Dropped | Self::Late)
    }

    fn is_share(self) -> bool {
        matches!(self, Self::ErrorRate | Self::Dropped | Self::Late)
    }

    fn limit(self, text: &str) -> Option<f64> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        match self {
            Self::RequestsPerSecond => number(text.strip_suffix("/s").unwrap_or(text)),
            Self::ErrorRate | Self::Dropped | Self::Late => {
                number(text.strip_suffix('%').unwrap_or(text)).map(|percent| percent / 100.0)
            }
            Self::Percentile(_) | Self::FirstByte(_) | Self::Average | Self::Maximum => {
                let scaled = |unit: &str, scale: f64| Some(number(text.strip_suffix(unit)?)? * scale);
                // "ms" before "s", which it ends with; a bare number is milliseconds, as in Goose.
                scaled("us", 1e-6)
                    .or_else(|| scaled("µs", 1e-6))
                    .or_else(|| scaled("ms", 1e-3))
                    .or_else(|| scaled("s", 1.0))
                    .or_else(|| Some(number(text)? * 1e-3))
            }
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "100",
            Self::ErrorRate | Self::Dropped | Self::Late => "1%",
            Self::Percentile(_) | Self::FirstByte(_) | Self::Average | Self::Maximum => "200ms or 1.5s",
        }
    }

    /// Writes a value of this metric.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::RequestsPerSecond => format!("{value:.1}/s"),
            Self::ErrorRate | Self::Dropped | Self::Late => format!("{:.2}%", value * 100.0),
            Self::Percentile(_) | Self::FirstByte(_) | Self::Average | Self::Maximum => show_seconds(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, metric: Metric, operator: Operator, limit: f64, endpoint: Option<&str>) {
        let threshold: Threshold = text.parse().unwrap();
        assert_eq!((threshold.metric, threshold.operator), (metric, operator), "{text}");
        assert!((threshold.limit - limit).abs() < 1e-12, "{text}: {}", threshold.limit);
        assert_eq!(threshold.endpoint.as_deref(), endpoint, "{text}");
    }

    #[test]
    fn reads_conditions() {
        check("p95<200ms", Metric::Percentile(0.95), Operator::Less, 0.2, None);
        check("p99.9 <= 1.5s", Metric::Percentile(0.999), Operator::LessOrEqual, 1.5, None);
        check("avg<500", Metric::Average, Operator::Less, 0.5, None);
        check("max<90us", Metric::Maximum, Operator::Less, 9e-5, None);
        check("error-rate<1%", Metric::ErrorRate, Operator::Less, 0.01, None);
        check("error_rate<=0", Metric::ErrorRate, Operator::LessOrEqual, 0.0, None);
        check("rps>=200", Metric::RequestsPerSecond, Operator::GreaterOrEqual, 200.0, None);
        check("dropped<1%", Metric::Dropped, Operator::Less, 0.01, None);
        check("dropped <= 0", Metric::Dropped, Operator::LessOrEqual, 0.0, None);
        check("late<5%", Metric::Late, Operator::Less, 0.05, None);
        check("first-byte-p50<10ms", Metric::FirstByte(0.5), Operator::Less, 0.01, None);
        check("p99<2s for GET /checkout", Metric::Percentile(0.99), Operator::Less, 2.0, Some("GET /checkout"));
    }

    #[test]
    fn one_condition_in_two_spellings_is_the_same() {
        let same =
            |one: &str, other: &str| one.parse::<Threshold>().unwrap().is_same(&other.parse::<Threshold>().unwrap());
        assert!(
            same("p95<200ms", "p95<200ms") && same("p95<300ms", " p95 < 0.3s") && same("errors<=0", "error_rate<=0%")
        );
        assert!(!same("p95<200ms", "p95<201ms") && !same("p95<200ms", "p95<=200ms") && !same("p95<200ms", "p99<200ms"));
        assert!(!same("p95<200ms", "p95<200ms for /a") && !same("p95<1s for /a", "p95<1s for /b"));
    }

    #[test]
    fn refuses_the_rest() {
        let refusal = |text: &str| text.parse::<Threshold>().unwrap_err().to_string();
        assert!(refusal("p95").contains("compares nothing"));
        assert!(refusal("p100<1s").contains("unknown metric \"p100\""));
        assert!(refusal("speed<1s").contains("unknown metric \"speed\""));
        assert!(refusal("p95<1x").contains("\"1x\" is no limit for p95"));
        assert!(refusal("p95<0").contains("can never hold"));
        assert!(refusal("error-rate>100%").contains("can never hold"));
        assert!(refusal("dropped<1s").contains("\"1s\" is no limit for dropped; expected something like 1%"));
        assert!(refusal("late>100%").contains("can never hold"));
        assert!(refusal("dropped<1% for GET /a").contains("leave out \"for …\""));
        assert!(refusal("rps>-1").contains("is no limit"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,30}") {
            let _ = text.parse::<Threshold>();
        }

        #[test]
        fn comparisons_never_panic(text in "(p95|avg|rps|error-rate|x)?(<|>|<=|=)?[0-9.]{0,4}(ms|s|%|us)?( for .{0,5})?") {
            let _ = text.parse::<Threshold>();
        }
    }
}
