//! The methods of [`MonitorBuilder`] about alerts.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    AlertReceiver,
    config::{GRACE, RESEND},
};
use crate::{MonitorBuilder, alert::deliver::is_label_name, monitor::config::OutOfRange, rules::Unit};

impl MonitorBuilder {
    /// Sends alerts about findings to this receiver, too. Each call adds one. [`build`](Self::build) reads its secrets and its
    /// template, and fails where it cannot. docs/delivery.md says what is sent when.
    pub fn alert_receiver(mut self, receiver: AlertReceiver) -> Self {
        self.config.deliver.receivers.push(receiver);
        self
    }

    /// Adds a label to every alert that is sent, so that an Alertmanager can route by it. `job` and `instance` replace the name
    /// of the service and its instance or machine, which alerts have otherwise.
    pub fn alert_label(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let expected = "the name of a label: letters, digits and underscores";
        let checked =
            if is_label_name(&name) { Ok(()) } else { Err(OutOfRange { found: format!("{name:?}"), expected }) };
        self.set("alert_label", checked, |config, ()| drop(config.deliver.labels.insert(name, value)))
    }

    /// Sets for how long after the start no alert is sent, up to 1 h: what fires by then goes together. 1 min by default.
    pub fn alert_grace(self, grace: Duration) -> Self {
        let checked = in_range(grace, GRACE, "0s to 1h");
        self.set("alert_grace", checked, |config, grace| config.deliver.grace = grace)
    }

    /// Sets the time between two sendings of an alert that fires to an Alertmanager, from 1 s to 1 h. 1 min by default. The
    /// Alertmanager ends an alert by itself that it was not sent for four times as long.
    pub fn alert_resend(self, interval: Duration) -> Self {
        let checked = in_range(interval, RESEND, "1s to 1h");
        self.set("alert_resend", checked, |config, interval| config.deliver.resend = interval)
    }
}

fn in_range(
    duration: Duration,
    range: RangeInclusive<Duration>,
    expected: &'static str,
) -> Result<Duration, OutOfRange> {
    match range.contains(&duration) {
        true => Ok(duration),
        false => Err(OutOfRange { found: Unit::Seconds.render(duration.as_secs_f64()), expected }),
    }
}
