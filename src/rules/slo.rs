//! [`Slo`]: what a service-level objective promises, and the windows in which its error budget is watched.
//!
//! The alerts are those of Google's [SRE workbook](https://sre.google/workbook/alerting-on-slos/), "multiwindow, multi-burn-rate": a
//! burn rate of 1 spends the budget in exactly the objective's window. Each severity looks at a long window, which says that it
//! matters, and a twelfth of it, which says that it still goes on. Invariant: a severity has one pair of windows, in the process as
//! in the exported rules.

use std::time::Duration;

use super::{
    severity::Severity,
    threshold::{Operator, Threshold},
    unit::Unit,
};

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

/// Every window in which a burn rate is known, from the shortest.
pub(crate) const BURN_WINDOWS: [Duration; 7] =
    [minutes(5), minutes(30), hours(1), hours(2), hours(6), hours(24), hours(72)];

/// Returns the name of one of [`BURN_WINDOWS`], as Prometheus writes it.
pub(crate) fn window_name(window: Duration) -> String {
    let minutes = window.as_secs() / 60;
    match (minutes % (24 * 60), minutes % 60) {
        (0, _) => format!("{}d", minutes / (24 * 60)),
        (_, 0) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

/// The present burn rate is that of this window.
pub(crate) const PRESENT: Duration = hours(1);

/// The windows of a severity, and the burn rate above which it fires unless the objective says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BurnAlert {
    pub(crate) severity: Severity,
    pub(crate) long: Duration,
    pub(crate) short: Duration,
    burn_rate: f64,
}

/// The alerts, from the lowest severity. Of a budget for 30 days they spend 10 % in 3 days, 10 % in a day, 5 % in 6 hours and 2 % in
/// an hour: the table of the workbook's chapter 5.
pub(crate) const BURN_ALERTS: [BurnAlert; 4] = [
    BurnAlert { severity: Severity::Low, long: hours(72), short: hours(6), burn_rate: 1.0 },
    BurnAlert { severity: Severity::Medium, long: hours(24), short: hours(2), burn_rate: 3.0 },
    BurnAlert { severity: Severity::High, long: hours(6), short: minutes(30), burn_rate: 6.0 },
    BurnAlert { severity: Severity::Critical, long: hours(1), short: minutes(5), burn_rate: 14.4 },
];

impl BurnAlert {
    /// Returns the alert of a severity.
    pub(crate) fn of(severity: Severity) -> Self {
        BURN_ALERTS[severity as usize]
    }

    pub(crate) fn threshold(self) -> Threshold {
        Threshold { operator: Operator::Above, limit: self.burn_rate }
    }
}

/// Requests, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestCounts {
    pub(crate) total: u64,
    pub(crate) bad: u64,
}

impl RequestCounts {
    /// Returns the share of the bad ones; `None` without any request.
    pub(crate) fn bad_ratio(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }
}

impl std::ops::AddAssign for RequestCounts {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.bad += other.bad;
    }
}

/// Which requests break an objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BadRequests {
    /// Those that failed by the service's own fault, as the measure of errors counts them.
    Errors,
    /// Those that took longer than an exposed edge of durations, in seconds.
    SlowerThan(f64),
}

impl BadRequests {
    /// Says what they are.
    pub(crate) fn about(self) -> String {
        match self {
            Self::Errors => "failed".to_owned(),
            Self::SlowerThan(seconds) => format!("slower than {}", Unit::Seconds.render(seconds)),
        }
    }
}

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SloScope {
    /// One budget for all endpoints that match, together.
    Service,
    /// A budget for each of them.
    Endpoint,
}

impl SloScope {
    pub(crate) const ALL: [Self; 2] = [Self::Service, Self::Endpoint];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Endpoint => "endpoint",
        }
    }
}

/// A service-level objective.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slo {
    /// Share of the requests that must be good; above 0 and below 1.
    pub(crate) objective: f64,
    /// The time in which the budget is counted.
    pub(crate) window: Duration,
    pub(crate) bad: BadRequests,
    pub(crate) scope: SloScope,
    /// With fewer bad requests in a long window there is no finding.
    pub(crate) min_bad: u64,
}

impl Slo {
    /// Returns the share of the requests that may be bad.
    pub(crate) fn allowed_ratio(&self) -> f64 {
        1.0 - self.objective
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_severity_has_its_alert_and_every_alert_its_windows() {
        for severity in Severity::ALL {
            let BurnAlert { severity: found, long, short, .. } = BurnAlert::of(severity);
            assert_eq!(found, severity);
            assert!(BURN_WINDOWS.contains(&long) && BURN_WINDOWS.contains(&short));
            assert_eq!(long, short * 12);
        }
        assert!(BURN_WINDOWS.is_sorted());
    }

    #[test]
    fn windows_have_the_names_that_prometheus_gives_them() {
        assert_eq!(BURN_WINDOWS.map(window_name), ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]);
    }

    /// The workbook's table: what an alert has spent of 30 days' budget when its burn rate has held for its long window.
    #[test]
    fn the_alerts_spend_what_the_workbook_says() {
        let spent = BURN_ALERTS.map(|alert| alert.burn_rate * alert.long.as_secs_f64() / hours(720).as_secs_f64());
        for (spent, expected) in spent.into_iter().zip([0.10, 0.10, 0.05, 0.02]) {
            assert!((spent - expected).abs() < 1e-12, "{spent} of {expected}");
        }
    }
}
