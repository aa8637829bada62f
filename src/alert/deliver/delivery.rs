//! [`Delivery`]: all receivers, and what goes to each of them next.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    Moment,
    board::{Board, Phase, StoredAlert},
    channel::{Channel, ChannelOptions},
    message::Message,
    notice::{Identity, Notice},
    peer::{self, Batch, Peer},
    retry::Retry,
    state::{Counted, Outcome, ReceiverState, Reply, State},
    template::Format,
};

/// What holds for all receivers.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Time after the start in which nothing is sent: what fires by then goes together.
    pub(crate) grace: Duration,
    /// Time between two sendings of an alert to an Alertmanager.
    pub(crate) resend: Duration,
    pub(crate) identity: Identity,
}

/// What a receiver is sent.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The state, as to an Alertmanager.
    Alertmanager,
    /// Changes.
    Channel {
        /// `webhook` or `command`.
        kind: &'static str,
        options: ChannelOptions,
        format: Format,
    },
}

impl Target {
    /// Returns the body with which `pinchpoint alerts test` tries a receiver of this name.
    pub(crate) fn test(&self, name: &str, identity: &Identity, moment: Moment) -> Value {
        let message = Message::test(identity, moment);
        match self {
            Self::Alertmanager => peer::test(&message, moment),
            Self::Channel { format, .. } => format.render(&message, name),
        }
    }
}

/// Something to send.
#[derive(Debug)]
pub(crate) struct Job {
    /// Which receiver, in the order of [`Delivery::new`].
    pub(crate) receiver: usize,
    pub(crate) body: Value,
}

/// All receivers of one monitor.
#[derive(Debug)]
pub(crate) struct Delivery {
    options: Options,
    board: Board,
    receivers: Vec<Receiver>,
    grace_ends: Instant,
    /// Alerts that there was no place for at the last look.
    left_out: usize,
}

#[derive(Debug)]
struct Receiver {
    name: Arc<str>,
    kind: Kind,
    retry: Retry,
    flight: Option<Flight>,
    shown: ReceiverState,
}

#[derive(Debug)]
enum Kind {
    Peer(Peer),
    Channel(Channel, Format),
}

/// What is under way to a receiver: one thing at a time.
#[derive(Debug)]
enum Flight {
    Batch(Batch, Instant),
    Message(Message),
}

impl Delivery {
    /// Starts with these receivers, each with its name.
    pub(crate) fn new(
        options: Options,
        receivers: impl IntoIterator<Item = (Arc<str>, Target)>,
        moment: Moment,
    ) -> Self {
        let receiver = |(name, target): (Arc<str>, Target)| {
            let (shown_kind, kind) = match target {
                Target::Alertmanager => ("alertmanager", Kind::Peer(Peer::new(options.resend))),
                Target::Channel { kind, options, format } => {
                    (kind, Kind::Channel(Channel::new(options, moment.now), format))
                }
            };
            let shown = ReceiverState {
                name: name.clone(),
                kind: shown_kind,
                state: State::Untried,
                waiting: 0,
                accepted: 0,
                rejected: 0,
                dropped: 0,
                accepted_at: None,
            };
            Receiver { name, kind, retry: Retry::default(), flight: None, shown }
        };
        let receivers = receivers.into_iter().map(receiver).collect();
        let grace_ends = moment.now + options.grace;
        Self { options, board: Board::default(), receivers, grace_ends, left_out: 0 }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.options.identity
    }

    /// Takes what the run before knew.
    pub(crate) fn restore(&mut self, stored: Vec<StoredAlert>, moment: Moment) {
        for receiver in &mut self.receivers {
            let Kind::Channel(channel, _) = &mut receiver.kind else { continue };
            let told = stored.iter().filter(|alert| alert.told.iter().any(|name| **name == *receiver.name));
            channel.restore(told.map(StoredAlert::notice), moment.now);
        }
        self.board.restore(stored, moment);
    }

    /// Returns what a next run should know.
    pub(crate) fn stored(&self, moment: Moment) -> Vec<StoredAlert> {
        let stored = self.board.iter().filter_map(|(id, alert)| {
            let seen = match alert.phase {
                Phase::Firing => moment.wall,
                Phase::Unconfirmed { seen, .. } => seen,
                Phase::Ended { .. } => return None,
            };
            let Notice { severity, labels, annotations, began, .. } = alert.notice.clone();
            let told = self.receivers.iter().filter_map(|receiver| match &receiver.kind {
                Kind::Channel(channel, _) => channel.knows(id).then(|| receiver.name.to_string()),
                Kind::Peer(_) => None,
            });
            Some(StoredAlert { severity, labels, annotations, began, seen, told: told.collect() })
        });
        stored.collect()
    }

    /// Takes what fires now, the worst first.
    pub(crate) fn observe(&mut self, notices: Vec<Notice>, moment: Moment) -> Vec<Counted> {
        let left_out = self.board.update(notices, moment);
        let newly = left_out.saturating_sub(self.left_out) as u64;
        self.left_out = left_out;
        let is_quiet = moment.now < self.grace_ends;
        let (board, identity) = (&self.board, &self.options.identity);
        let dropped = self.receivers.iter_mut().map(|receiver| {
            let dropped = match &mut receiver.kind {
                Kind::Channel(channel, _) if !is_quiet => {
                    channel.drop_old(moment.now) + channel.observe(board, identity, moment)
                }
                Kind::Channel(..) | Kind::Peer(_) => 0,
            };
            receiver.count(Outcome::Dropped, dropped + newly)
        });
        dropped.flatten().collect()
    }

    /// Returns what is to be sent now. Each job must be answered with [`finished`](Self::finished).
    pub(crate) fn jobs(&mut self, moment: Moment) -> Vec<Job> {
        if moment.now < self.grace_ends {
            return Vec::new();
        }
        let board = &self.board;
        let receivers = self.receivers.iter_mut().enumerate();
        receivers
            .filter_map(|(index, receiver)| Some(Job { receiver: index, body: receiver.next(board, moment)? }))
            .collect()
    }

    /// Takes what came back from a receiver. `jitter` is a random number from 0 to 1.
    pub(crate) fn finished(&mut self, receiver: usize, reply: &Reply, moment: Moment, jitter: f64) -> Vec<Counted> {
        let Some(receiver) = self.receivers.get_mut(receiver) else { return Vec::new() };
        let flight = receiver.flight.take();
        let mut dropped = 0;
        let outcome = match (reply, flight) {
            (Reply::Accepted, flight) => {
                receiver.accepted(flight);
                receiver.retry.succeeded();
                receiver.shown.accepted_at = Some(moment.wall);
                receiver.shown.state = State::Working;
                Outcome::Accepted
            }
            (Reply::Failed { error, retry_after }, flight) => {
                if let (Some(Flight::Message(message)), Kind::Channel(channel, _)) = (flight, &mut receiver.kind) {
                    dropped = channel.take_back(message) + channel.drop_old(moment.now);
                }
                receiver.failed(error, *retry_after, moment, jitter);
                Outcome::Failed
            }
            (Reply::Rejected { error }, flight) => {
                // What an Alertmanager refuses is due again with the next resend, and a message is gone.
                if let Some(batch @ Flight::Batch(..)) = flight {
                    receiver.accepted(Some(batch));
                }
                receiver.failed(error, None, moment, jitter);
                Outcome::Rejected
            }
        };
        [receiver.count(outcome, 1), receiver.count(Outcome::Dropped, dropped)].into_iter().flatten().collect()
    }

    /// Returns when there may be something to send; `None` where nothing is until the next look.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let due = self.receivers.iter().filter(|receiver| receiver.flight.is_none()).filter_map(|receiver| {
            let due = match &receiver.kind {
                Kind::Peer(peer) => peer.next(&self.board, now)?,
                Kind::Channel(channel, _) => channel.next(now)?,
            };
            Some(due.max(receiver.retry.not_before().unwrap_or(due)))
        });
        due.min().map(|due| due.max(self.grace_ends))
    }

    /// Returns the state of each receiver, in their order.
    pub(crate) fn states(&self, now: Instant) -> Vec<ReceiverState> {
        let state = |receiver: &Receiver| {
            let waiting = match &receiver.kind {
                Kind::Peer(peer) => peer.waiting(&self.board, now),
                Kind::Channel(channel, _) => channel.waiting() + usize::from(receiver.flight.is_some()),
            };
            ReceiverState { waiting, ..receiver.shown.clone() }
        };
        self.receivers.iter().map(state).collect()
    }
}

impl Receiver {
    /// Takes what to send now, unless something is under way or the receiver is left alone.
    fn next(&mut self, board: &Board, moment: Moment) -> Option<Value> {
        if self.flight.is_some() || !self.retry.allows(moment.now) {
            return None;
        }
        match &mut self.kind {
            Kind::Peer(peer) => {
                let (batch, body) = peer.batch(board, moment)?;
                self.flight = Some(Flight::Batch(batch, moment.now));
                Some(body)
            }
            Kind::Channel(channel, format) => {
                let message = channel.take(moment.now)?;
                let body = format.render(&message, &self.name);
                self.flight = Some(Flight::Message(message));
                Some(body)
            }
        }
    }

    fn accepted(&mut self, flight: Option<Flight>) {
        match (flight, &mut self.kind) {
            (Some(Flight::Batch(batch, at)), Kind::Peer(peer)) => peer.arrived(&batch, at),
            (Some(Flight::Message(message)), Kind::Channel(channel, _)) => channel.arrived(&message),
            (None | Some(Flight::Batch(..) | Flight::Message(_)), Kind::Peer(_) | Kind::Channel(..)) => {}
        }
    }

    fn failed(&mut self, error: &str, retry_after: Option<Duration>, moment: Moment, jitter: f64) {
        self.retry.failed(retry_after, moment.now, jitter);
        let since = match self.shown.state {
            State::Failing { since, .. } => since,
            State::Untried | State::Working => moment.wall,
        };
        let (error, attempts, next) = (error.to_owned(), self.retry.failures(), self.retry.not_before());
        self.shown.state = State::Failing { error, since, attempts, next };
    }

    fn count(&mut self, outcome: Outcome, count: u64) -> Option<Counted> {
        match outcome {
            Outcome::Accepted => self.shown.accepted += count,
            Outcome::Rejected => self.shown.rejected += count,
            Outcome::Dropped => self.shown.dropped += count,
            Outcome::Failed => {}
        }
        (count > 0).then(|| Counted { receiver: self.name.clone(), outcome, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alert::deliver::tests::notice, rules::Severity};

    struct Drive {
        delivery: Delivery,
        start: Instant,
    }

    impl Drive {
        /// An Alertmanager and a webhook, with a grace of 60 s.
        fn new() -> Self {
            let start = Instant::now();
            let options = ChannelOptions::default();
            let channel = Target::Channel { kind: "webhook", options, format: Format::Full };
            let targets = [("peer".into(), Target::Alertmanager), ("hook".into(), channel)];
            let (grace, resend) = (Duration::from_secs(60), Duration::from_secs(60));
            let options = Options { grace, resend, identity: Identity::default() };
            let moment = Moment { now: start, wall: Duration::from_secs(10_000) };
            Self { delivery: Delivery::new(options, targets, moment), start }
        }

        fn moment(&self, second: u64) -> Moment {
            let age = Duration::from_secs(second);
            Moment { now: self.start + age, wall: Duration::from_secs(10_000) + age }
        }

        fn look(&mut self, second: u64, subjects: &[&str]) {
            let notices = subjects.iter().map(|subject| notice(subject, Severity::High)).collect();
            let moment = self.moment(second);
            self.delivery.observe(notices, moment);
        }

        /// Returns which receivers are sent something.
        fn jobs(&mut self, second: u64) -> Vec<usize> {
            let moment = self.moment(second);
            self.delivery.jobs(moment).iter().map(|job| job.receiver).collect()
        }

        fn reply(&mut self, second: u64, receiver: usize, reply: &Reply) -> Vec<(Outcome, u64)> {
            let moment = self.moment(second);
            let counted = self.delivery.finished(receiver, reply, moment, 1.0);
            counted.into_iter().map(|counted| (counted.outcome, counted.count)).collect()
        }
    }

    fn down() -> Reply {
        Reply::Failed { error: "connection refused".to_owned(), retry_after: None }
    }

    #[test]
    fn nothing_is_sent_in_the_grace_and_all_of_it_afterwards_at_once() {
        let mut drive = Drive::new();
        drive.look(0, &["a"]);
        drive.look(30, &["b", "c"]);
        assert_eq!(drive.jobs(59), [] as [usize; 0]);
        assert_eq!(drive.delivery.next(drive.moment(30).now), Some(drive.moment(60).now));
        drive.look(60, &["b", "c"]);
        let moment = drive.moment(60);
        let jobs = drive.delivery.jobs(moment);
        // The Alertmanager learns that `a` ended; the webhook was never told that it began.
        assert_eq!(jobs[0].body.as_array().map(Vec::len), Some(3));
        assert_eq!(jobs[1].body["alerts"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn one_thing_at_a_time_goes_to_a_receiver() {
        let mut drive = Drive::new();
        drive.look(60, &["a"]);
        assert_eq!(drive.jobs(60), [0, 1]);
        drive.look(65, &["a", "b"]);
        assert_eq!(drive.jobs(65), [] as [usize; 0]);
        assert_eq!(drive.delivery.next(drive.moment(65).now), None);
        assert_eq!(drive.reply(66, 1, &Reply::Accepted), [(Outcome::Accepted, 1)]);
        assert_eq!(drive.jobs(66), [1]);
    }

    #[test]
    fn a_receiver_that_is_down_is_tried_ever_more_rarely_and_the_others_go_on() {
        let mut drive = Drive::new();
        drive.look(60, &["a"]);
        let mut attempts = Vec::new();
        for second in 60..100 {
            for receiver in drive.jobs(second) {
                let reply = if receiver == 0 { down() } else { Reply::Accepted };
                drive.reply(second, receiver, &reply);
                attempts.push((receiver, second));
            }
        }
        assert_eq!(attempts, [(0, 60), (1, 60), (0, 61), (0, 63), (0, 67), (0, 75), (0, 91)]);
        let states = drive.delivery.states(drive.moment(100).now);
        assert_eq!(states[1].state, State::Working);
        let State::Failing { error, since, attempts, .. } = &states[0].state else { panic!("{states:?}") };
        assert_eq!((error.as_str(), since.as_secs(), *attempts), ("connection refused", 10_060, 6));
        assert_eq!(states[0].waiting, 1);
    }

    #[test]
    fn retry_after_is_waited_for() {
        let mut drive = Drive::new();
        drive.look(60, &["a"]);
        drive.jobs(60);
        let busy = Reply::Failed { error: "429".to_owned(), retry_after: Some(Duration::from_secs(90)) };
        assert_eq!(drive.reply(60, 1, &busy), [(Outcome::Failed, 1)]);
        drive.reply(60, 0, &Reply::Accepted);
        assert_eq!(drive.jobs(149), [0], "only the resend to the Alertmanager");
        assert_eq!(drive.jobs(150), [1]);
    }

    #[test]
    fn what_is_refused_for_good_is_not_sent_again_at_once() {
        let mut drive = Drive::new();
        drive.look(60, &["a"]);
        drive.jobs(60);
        for receiver in [0, 1] {
            let reply = Reply::Rejected { error: "400".to_owned() };
            assert_eq!(drive.reply(60, receiver, &reply), [(Outcome::Rejected, 1)]);
        }
        assert_eq!(drive.jobs(119), [] as [usize; 0]);
        assert_eq!(drive.jobs(120), [0]);
    }

    #[test]
    fn a_message_that_fails_for_an_hour_is_dropped_and_counted() {
        let mut drive = Drive::new();
        drive.look(60, &["a"]);
        let mut dropped = 0;
        for second in 60..4_000 {
            for receiver in drive.jobs(second) {
                let counted = drive.reply(second, receiver, &down());
                dropped += counted.iter().filter(|(outcome, _)| *outcome == Outcome::Dropped).count();
            }
        }
        assert_eq!((dropped, drive.delivery.states(drive.moment(4_000).now)[1].waiting), (1, 0));
    }

    #[test]
    fn after_a_restart_nothing_is_told_twice() {
        let mut before = Drive::new();
        before.look(60, &["a", "b"]);
        before.jobs(60);
        before.reply(60, 1, &Reply::Accepted);
        let stored = before.delivery.stored(before.moment(70));
        assert_eq!(stored.iter().map(|alert| alert.told.clone()).collect::<Vec<_>>(), [["hook"], ["hook"]]);
        let mut after = Drive::new();
        let moment = after.moment(0);
        after.delivery.restore(stored, moment);
        after.look(60, &["a"]);
        assert_eq!(after.jobs(60), [0], "the Alertmanager knows it by its labels");
        after.look(700, &["a"]);
        let moment = after.moment(700);
        let ended: Vec<_> = after.delivery.jobs(moment).into_iter().filter(|job| job.receiver == 1).collect();
        assert_eq!(ended[0].body["status"], "resolved");
        assert_eq!(ended[0].body["alerts"][0]["labels"]["subject"], "b");
    }

    #[test]
    fn what_had_not_arrived_before_a_restart_is_sent_after_it() {
        for reply in [None, Some(down()), Some(Reply::Rejected { error: "404".to_owned() })] {
            let mut before = Drive::new();
            before.look(60, &["a"]);
            before.jobs(60);
            reply.iter().for_each(|reply| drop(before.reply(60, 1, reply)));
            let stored = before.delivery.stored(before.moment(70));
            assert_eq!(stored[0].told, [] as [String; 0], "{reply:?}");
            let mut after = Drive::new();
            let moment = after.moment(0);
            after.delivery.restore(stored, moment);
            after.look(60, &["a"]);
            assert_eq!(after.jobs(60), [0, 1], "{reply:?}");
        }
    }
}
