//! [`DeliverConfig`]: the setting `deliver`.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use super::AlertReceiver;

/// Time after the start in which nothing is sent.
pub(in crate::monitor) const GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
/// Time between two sendings of an alert to an Alertmanager.
pub(in crate::monitor) const RESEND: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// How long a receiver may take.
pub(in crate::monitor) const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
/// Receivers at most: each is a label of a metric.
pub(in crate::monitor) const MOST: usize = 32;

/// Who is sent alerts, and what holds for all of them.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::monitor) struct DeliverConfig {
    pub(in crate::monitor) receivers: Vec<AlertReceiver>,
    /// Labels of every alert.
    pub(in crate::monitor) labels: BTreeMap<String, String>,
    pub(in crate::monitor) grace: Duration,
    pub(in crate::monitor) resend: Duration,
}

impl Default for DeliverConfig {
    fn default() -> Self {
        // Prometheus sends an alert again after a minute, too. An Alertmanager ends one after four of them without, which is
        // longer than a restart takes together with the grace.
        let minute = Duration::from_secs(60);
        Self { receivers: Vec::new(), labels: BTreeMap::new(), grace: minute, resend: minute }
    }
}
