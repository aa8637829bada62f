//! One test notification to each receiver, as `pinchpoint alerts test` sends it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Prepared, sender::Answer};
use crate::{
    BuildError, MonitorBuilder,
    alert::deliver::{Moment, Reply},
};

/// What a receiver answered to a test notification. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestedReceiver {
    /// Its name; of an Alertmanager without one `alertmanager/` with the host, the port and the path of its address.
    pub name: String,
    /// Whether it accepted the notification.
    pub accepted: bool,
    /// The status of the answer, or why there is none.
    pub status: String,
    /// The beginning of the answer; of a command, of what it wrote to its standard error.
    pub body: String,
}

impl MonitorBuilder {
    /// Sends a test notification to every receiver that this builder has, one after the other, and returns what came back. Builds no
    /// monitor. In an Alertmanager the alert is called `PinchpointTest`, has the severity `low` and ends after a minute.
    ///
    /// # Errors
    ///
    /// Returns an error for a receiver whose secrets or template cannot be read.
    ///
    /// ```no_run
    /// use pinchpoint::{AlertReceiver, Monitor};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pinchpoint::BuildError> {
    /// let builder = Monitor::builder().alert_receiver(AlertReceiver::alertmanager("http://127.0.0.1:9093"));
    /// for receiver in builder.test_receivers().await? {
    ///     println!("{}: {}", receiver.name, receiver.status);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn test_receivers(self) -> Result<Vec<TestedReceiver>, BuildError> {
        let Prepared { options, receivers } = Prepared::of(&self.config)?;
        let mut tested = Vec::new();
        for (name, target, sender) in receivers {
            let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            let body = target.test(&name, &options.identity, Moment { now: Instant::now(), wall });
            let Answer { reply, status, body } = sender.send(&body).await;
            tested.push(TestedReceiver { name: name.to_string(), accepted: reply == Reply::Accepted, status, body });
        }
        Ok(tested)
    }
}
