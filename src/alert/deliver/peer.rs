//! [`Peer`]: one Alertmanager. It gets what fires again and again, and what ended for a while, as from a Prometheus.
//!
//! An Alertmanager ends an alert by itself at its `endsAt`, unless it is sent again. So nothing that this process forgot, or
//! that died with it, stays. There is no queue: what is sent is the state at that time, and a failed attempt is followed by
//! one with the state of then.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Moment,
    board::{Alert, Board, ENDED_FOR, Phase},
    message::Message,
    notice::Notice,
    rfc3339,
};

/// Alerts in one request, as many as Prometheus sends.
const BATCH: usize = 64;
/// How many times an alert can be sent again before its `endsAt`: as Prometheus has it.
const RESENDS_AHEAD: u32 = 4;

/// What an Alertmanager was sent.
#[derive(Debug)]
pub(super) struct Peer {
    /// Time between two sendings of an alert that fires.
    resend: Duration,
    sent: HashMap<u64, Sent>,
}

/// The last sending of one alert that arrived.
#[derive(Clone, Copy, Debug)]
struct Sent {
    revision: u64,
    at: Instant,
}

/// One request's alerts, each with its revision.
pub(super) type Batch = Vec<(u64, u64)>;

impl Peer {
    pub(super) fn new(resend: Duration) -> Self {
        Self { resend, sent: HashMap::new() }
    }

    /// Returns when an alert is due; `None` where it is not to be sent.
    fn due_at(&self, id: u64, alert: &Alert, now: Instant) -> Option<Instant> {
        match alert.phase {
            Phase::Unconfirmed { .. } => return None,
            Phase::Ended { since, .. } if now.saturating_duration_since(since) >= ENDED_FOR => return None,
            Phase::Firing | Phase::Ended { .. } => {}
        }
        Some(match self.sent.get(&id) {
            Some(sent) if sent.revision == alert.revision => sent.at + self.resend,
            // Changed, or never sent.
            Some(_) | None => now,
        })
    }

    /// Returns when the next alert is due.
    pub(super) fn next(&self, board: &Board, now: Instant) -> Option<Instant> {
        board.iter().filter_map(|(id, alert)| self.due_at(id, alert, now)).min()
    }

    /// Returns the alerts to send now, those first that are due for longest and are worst, and the body that has them.
    pub(super) fn batch(&mut self, board: &Board, moment: Moment) -> Option<(Batch, Value)> {
        self.sent.retain(|id, _| board.get(*id).is_some());
        let due = board.iter().filter_map(|(id, alert)| Some((self.due_at(id, alert, moment.now)?, id, alert)));
        let mut due: Vec<_> = due.filter(|(at, ..)| *at <= moment.now).collect();
        let was_sent = |id: &u64, alert: &Alert| self.sent.get(id).is_some_and(|sent| sent.revision == alert.revision);
        due.sort_by_key(|(at, id, alert)| (was_sent(id, alert), *at, Reverse(alert.notice.severity), *id));
        due.truncate(BATCH);
        let batch: Batch = due.iter().map(|(_, id, alert)| (*id, alert.revision)).collect();
        let ends = moment.wall + self.resend * RESENDS_AHEAD;
        let body = due.iter().map(|(_, _, alert)| postable(&alert.notice, alert.ended().unwrap_or(ends))).collect();
        (!batch.is_empty()).then_some((batch, body))
    }

    /// Notes that a batch arrived; `at` is when it was sent.
    pub(super) fn arrived(&mut self, batch: &Batch, at: Instant) {
        self.sent.extend(batch.iter().map(|&(id, revision)| (id, Sent { revision, at })));
    }

    /// Returns how many alerts wait.
    pub(super) fn waiting(&self, board: &Board, now: Instant) -> usize {
        board.iter().filter_map(|(id, alert)| self.due_at(id, alert, now)).filter(|at| *at <= now).count()
    }
}

/// For how long an alert that tests an Alertmanager fires.
const TEST_FOR: Duration = Duration::from_secs(60);

/// Returns the alerts of a test.
pub(super) fn test(message: &Message, moment: Moment) -> Value {
    message.alerts.iter().map(|item| postable(&item.notice, moment.wall + TEST_FOR)).collect()
}

/// Returns an alert as `POST /api/v2/alerts` takes it.
fn postable(notice: &Notice, ends: Duration) -> Value {
    json!({
        "labels": notice.labels,
        "annotations": notice.annotations,
        "startsAt": rfc3339(notice.began),
        "endsAt": rfc3339(ends),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alert::deliver::tests::notice, rules::Severity};

    const RESEND: Duration = Duration::from_secs(60);

    struct Drive {
        board: Board,
        peer: Peer,
        start: Instant,
    }

    impl Drive {
        fn new() -> Self {
            Self { board: Board::default(), peer: Peer::new(RESEND), start: Instant::now() }
        }

        fn moment(&self, second: u64) -> Moment {
            let age = Duration::from_secs(second);
            Moment { now: self.start + age, wall: Duration::from_secs(10_000) + age }
        }

        /// Returns the subjects that are sent with whether they ended, where the request arrives.
        fn at(&mut self, second: u64, notices: Vec<Notice>) -> Vec<(String, bool)> {
            let moment = self.moment(second);
            self.board.update(notices, moment);
            let Some((batch, body)) = self.peer.batch(&self.board, moment) else { return Vec::new() };
            self.peer.arrived(&batch, moment.now);
            let now = rfc3339(moment.wall);
            let alerts = body.as_array().expect("a list").iter();
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            alerts.map(|alert| (text(&alert["labels"]["subject"]), text(&alert["endsAt"]) <= now)).collect()
        }
    }

    fn a() -> Vec<Notice> {
        vec![notice("a", Severity::High)]
    }

    fn sent(subject: &str, ended: bool) -> Vec<(String, bool)> {
        vec![(subject.to_owned(), ended)]
    }

    #[test]
    fn what_fires_is_sent_again_and_its_end_at_once_and_for_15_minutes() {
        let mut drive = Drive::new();
        assert_eq!(drive.at(0, a()), sent("a", false));
        assert_eq!(drive.at(59, a()), []);
        assert_eq!(drive.peer.next(&drive.board, drive.moment(59).now), Some(drive.moment(60).now));
        assert_eq!(drive.at(60, a()), sent("a", false));
        assert_eq!(drive.at(65, vec![]), sent("a", true));
        assert_eq!(drive.at(70, vec![]), []);
        let resent: Vec<u64> = (70..2_000).filter(|second| !drive.at(*second, vec![]).is_empty()).collect();
        assert_eq!(resent, (2..=15).map(|minute| 5 + minute * 60).collect::<Vec<_>>());
        assert_eq!(drive.peer.next(&drive.board, drive.moment(2_000).now), None);
    }

    #[test]
    fn an_alert_ends_by_itself_four_resends_after_it_was_last_sent() {
        let mut drive = Drive::new();
        let moment = drive.moment(0);
        drive.board.update(a(), moment);
        let (_, body) = drive.peer.batch(&drive.board, moment).expect("an alert");
        assert_eq!(body[0]["startsAt"], rfc3339(Duration::from_secs(1_000)));
        assert_eq!(body[0]["endsAt"], rfc3339(moment.wall + Duration::from_secs(240)));
    }

    #[test]
    fn what_did_not_arrive_is_due_and_is_sent_as_it_is_then() {
        let mut drive = Drive::new();
        let moment = drive.moment(0);
        drive.board.update(a(), moment);
        assert!(drive.peer.batch(&drive.board, moment).is_some());
        assert_eq!(drive.peer.waiting(&drive.board, moment.now), 1);
        assert_eq!(drive.at(5, vec![]), sent("a", true));
    }

    #[test]
    fn an_alert_that_changed_while_it_was_sent_is_due_again() {
        let mut drive = Drive::new();
        drive.board.update(a(), drive.moment(0));
        let (batch, _) = drive.peer.batch(&drive.board, drive.moment(0)).expect("an alert");
        drive.board.update(vec![], drive.moment(5));
        drive.peer.arrived(&batch, drive.moment(0).now);
        assert_eq!(drive.at(6, vec![]), sent("a", true));
    }

    #[test]
    fn many_alerts_go_in_several_requests_and_none_starves() {
        let mut drive = Drive::new();
        let many = || (0..150).map(|n| notice(&format!("{n:03}"), Severity::High)).collect::<Vec<_>>();
        let mut subjects: Vec<_> = (0..3).flat_map(|second| drive.at(second, many())).map(|(name, _)| name).collect();
        assert_eq!(subjects.len(), 150);
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), 150);
        assert_eq!(drive.at(3, many()), []);
    }
}
