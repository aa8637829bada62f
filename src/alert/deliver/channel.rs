//! [`Channel`]: a webhook or a command. It gets each change once, in messages that wait in a queue.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Moment,
    board::{Board, MOST, Phase},
    message::{Item, Message},
    notice::{Identity, Notice},
};
use crate::rules::Severity;

/// Messages that wait at most. Each is of one look, and holds what changed in it.
pub(super) const QUEUE: usize = 100;
/// A message that could not be sent for so long is dropped: what it says is no news any more.
const OLDEST: Duration = Duration::from_secs(3600);

/// What a channel is sent, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelOptions {
    /// Less severe findings are not sent.
    pub(crate) min_severity: Severity,
    /// Whether ends are sent too.
    pub(crate) resolved: bool,
    /// Time after which what still fires is sent again; `None` for never.
    pub(crate) repeat: Option<Duration>,
    /// Messages in a minute at most.
    pub(crate) per_minute: u32,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        // Alertmanager repeats every 4 h, and a chat service such as Slack takes a message a second.
        let repeat = Some(Duration::from_secs(4 * 3600));
        Self { min_severity: Severity::Low, resolved: true, repeat, per_minute: 10 }
    }
}

/// What a channel was told, and what it is still to be told.
#[derive(Debug)]
pub(super) struct Channel {
    options: ChannelOptions,
    queue: VecDeque<Message>,
    /// The alerts whose beginning was put into the queue or sent.
    told: BTreeMap<u64, Told>,
    /// The alerts whose end was told last, and when, until it is known what the run before told: their end is news no more.
    ended: Option<BTreeMap<u64, Instant>>,
    bucket: Bucket,
}

#[derive(Clone, Debug)]
struct Told {
    notice: Notice,
    /// When it was last put into the queue; `None` where the message was dropped.
    at: Option<Instant>,
    /// Whether a message of it has arrived.
    arrived: bool,
}

impl Channel {
    pub(super) fn new(options: ChannelOptions, now: Instant) -> Self {
        let (queue, told, ended) = (VecDeque::new(), BTreeMap::new(), Some(BTreeMap::new()));
        Self { options, queue, told, ended, bucket: Bucket::full(options.per_minute, now) }
    }

    /// Takes the alerts whose beginning the run before sent. What this run has told by now stays told, ends too: the history file may be
    /// open late.
    pub(super) fn restore(&mut self, told: impl IntoIterator<Item = Notice>, now: Instant) {
        let ended = self.ended.take().unwrap_or_default();
        told.into_iter().filter(|notice| !ended.contains_key(&notice.id)).for_each(|notice| self.was_told(notice, now));
    }

    fn was_told(&mut self, notice: Notice, now: Instant) {
        let told = self.told.entry(notice.id).or_insert(Told { notice, at: Some(now), arrived: true });
        told.arrived = true;
    }

    /// Returns whether the beginning of an alert has arrived.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.told.get(&id).is_some_and(|told| told.arrived)
    }

    /// Notes that a message has arrived.
    pub(super) fn arrived(&mut self, message: &Message) {
        for id in message.begun() {
            self.told.entry(id).and_modify(|told| told.arrived = true);
        }
    }

    /// Puts what changed into one message. Returns how many messages were dropped for it.
    pub(super) fn observe(&mut self, board: &Board, identity: &Identity, moment: Moment) -> u64 {
        let mut items = self.ended(board, moment);
        items.extend(self.firing(board, moment.now));
        let Some(message) = Message::of(items, identity, moment) else { return 0 };
        self.queue.push_back(message);
        self.drop_surplus()
    }

    /// Returns what ended, and forgets it. What a person acknowledged is forgotten in silence.
    fn ended(&mut self, board: &Board, moment: Moment) -> Vec<Item> {
        let resolved = self.options.resolved;
        let mut items = Vec::new();
        self.told.retain(|id, told| {
            let ended = match board.get(*id).map(|alert| alert.phase) {
                Some(Phase::Firing | Phase::Unconfirmed { .. }) => return true,
                Some(Phase::Ended { is_acknowledged: true, .. }) => return false,
                Some(Phase::Ended { at, .. }) => at,
                None => moment.wall,
            };
            if resolved {
                items.push(Item { notice: told.notice.clone(), ended: Some(ended) });
            }
            false
        });
        if let Some(known) = &mut self.ended {
            known.extend(items.iter().map(|item| (item.notice.id, moment.now)));
            while known.len() > MOST {
                let Some(oldest) = known.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id) else { break };
                known.remove(&oldest);
            }
        }
        items
    }

    /// Returns what began, or is due again, and notes that it is told.
    fn firing(&mut self, board: &Board, now: Instant) -> Vec<Item> {
        let mut items = Vec::new();
        for (id, alert) in board.firing().filter(|(_, alert)| alert.notice.severity >= self.options.min_severity) {
            let told = self.told.get(&id);
            let is_due = told
                .and_then(|told| told.at)
                .is_none_or(|at| self.options.repeat.is_some_and(|repeat| now.saturating_duration_since(at) >= repeat));
            if is_due {
                let arrived = told.is_some_and(|told| told.arrived);
                self.told.insert(id, Told { notice: alert.notice.clone(), at: Some(now), arrived });
                if let Some(ended) = &mut self.ended {
                    ended.remove(&id);
                }
                items.push(Item { notice: alert.notice.clone(), ended: None });
            }
        }
        items
    }

    /// Drops the oldest messages past [`QUEUE`].
    fn drop_surplus(&mut self) -> u64 {
        let surplus = self.queue.len().saturating_sub(QUEUE);
        self.drop_first(surplus)
    }

    /// Drops the oldest messages. What they say fires is told anew at the next look, if it still does.
    fn drop_first(&mut self, messages: usize) -> u64 {
        for id in self.queue.drain(..messages).flat_map(|message| message.begun().collect::<Vec<_>>()) {
            match self.told.get_mut(&id) {
                Some(told) if told.arrived => told.at = None,
                _ => drop(self.told.remove(&id)),
            }
        }
        messages as u64
    }

    /// Takes the next message, where the rate allows one now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Message> {
        if self.queue.is_empty() || !self.bucket.take(now) {
            return None;
        }
        self.queue.pop_front()
    }

    /// Takes a message back that could not be sent. Returns how many messages were dropped.
    pub(super) fn take_back(&mut self, message: Message) -> u64 {
        self.queue.push_front(message);
        self.drop_surplus()
    }

    /// Drops messages that are too old. Returns how many.
    pub(super) fn drop_old(&mut self, now: Instant) -> u64 {
        // They are in the order in which they were made.
        let is_old = |message: &&Message| now.saturating_duration_since(message.made) >= OLDEST;
        self.drop_first(self.queue.iter().take_while(is_old).count())
    }

    /// Returns when the next message may go; `None` where none waits.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        (!self.queue.is_empty()).then(|| self.bucket.next(now))
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }
}

/// A token bucket that holds a minute's messages.
#[derive(Debug)]
struct Bucket {
    per_minute: u32,
    /// Messages that may go at once, at `since`.
    tokens: f64,
    since: Instant,
}

impl Bucket {
    fn full(per_minute: u32, now: Instant) -> Self {
        let per_minute = per_minute.max(1);
        Self { per_minute, tokens: f64::from(per_minute), since: now }
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(self.since).as_secs_f64() * f64::from(self.per_minute) / 60.0;
        (self.tokens + gained).min(f64::from(self.per_minute))
    }

    fn take(&mut self, now: Instant) -> bool {
        // A token that is full but for a rounding error is full: otherwise the time of the next one comes in vain.
        let tokens = self.tokens_at(now) + 1e-6;
        if tokens < 1.0 {
            return false;
        }
        (self.tokens, self.since) = ((tokens - 1.0).max(0.0), now);
        true
    }

    /// Returns when a message may go.
    fn next(&self, now: Instant) -> Instant {
        let missing = (1.0 - self.tokens_at(now)).max(0.0);
        now + Duration::from_secs_f64(missing * 60.0 / f64::from(self.per_minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::deliver::tests::notice;

    struct Drive {
        board: Board,
        channel: Channel,
        start: Instant,
    }

    impl Drive {
        fn new(options: ChannelOptions) -> Self {
            let start = Instant::now();
            Self { board: Board::default(), channel: Channel::new(options, start), start }
        }

        fn moment(&self, second: u64) -> Moment {
            let age = Duration::from_secs(second);
            Moment { now: self.start + age, wall: Duration::from_secs(10_000) + age }
        }

        /// Returns what the message of a look says.
        fn at(&mut self, second: u64, notices: Vec<Notice>) -> Vec<String> {
            let moment = self.moment(second);
            self.board.update(notices, moment);
            self.channel.observe(&self.board, &Identity::default(), moment);
            let message = self.channel.take(moment.now);
            let items = message.into_iter().flat_map(|message| message.alerts);
            items.map(|item| format!("{} {}", item.status(), item.notice.label("subject"))).collect()
        }
    }

    fn high(subject: &str) -> Notice {
        notice(subject, Severity::High)
    }

    const NOTHING: Vec<String> = Vec::new();

    #[test]
    fn findings_of_one_look_are_one_message_and_each_change_is_told_once() {
        let mut drive = Drive::new(ChannelOptions::default());
        assert_eq!(drive.at(0, vec![high("a"), high("b")]), ["firing a", "firing b"]);
        assert_eq!(drive.at(5, vec![high("a"), high("b")]), NOTHING);
        assert_eq!(drive.at(10, vec![high("b"), high("c")]), ["firing c", "resolved a"]);
        assert_eq!(drive.at(15, vec![]), ["resolved b", "resolved c"]);
        assert_eq!(drive.at(20, vec![]), NOTHING);
    }

    #[test]
    fn what_still_fires_is_repeated() {
        let repeat = Some(Duration::from_secs(600));
        let mut drive = Drive::new(ChannelOptions { repeat, ..ChannelOptions::default() });
        assert_eq!(drive.at(0, vec![high("a")]), ["firing a"]);
        assert_eq!(drive.at(599, vec![high("a")]), NOTHING);
        assert_eq!(drive.at(600, vec![high("a")]), ["firing a"]);
        assert_eq!(drive.at(601, vec![high("a")]), NOTHING);
        let mut drive = Drive::new(ChannelOptions { repeat: None, ..ChannelOptions::default() });
        drive.at(0, vec![high("a")]);
        assert_eq!(drive.at(999_999, vec![high("a")]), NOTHING);
    }

    #[test]
    fn the_options_leave_out_what_is_less_severe_and_ends() {
        let options = ChannelOptions { min_severity: Severity::High, resolved: false, ..ChannelOptions::default() };
        let mut drive = Drive::new(options);
        assert_eq!(drive.at(0, vec![high("a"), notice("b", Severity::Medium)]), ["firing a"]);
        assert_eq!(drive.at(5, vec![]), NOTHING);
        assert_eq!(drive.at(10, vec![high("a")]), ["firing a"], "it is a new beginning");
    }

    #[test]
    fn what_is_acknowledged_is_not_told_and_begins_anew_afterwards() {
        let mut drive = Drive::new(ChannelOptions::default());
        let acknowledged = || Notice { is_acknowledged: true, ..high("a") };
        assert_eq!(drive.at(0, vec![high("a")]), ["firing a"]);
        assert_eq!(drive.at(5, vec![acknowledged()]), NOTHING);
        assert_eq!(drive.at(10, vec![high("a")]), ["firing a"]);
        assert_eq!(drive.at(15, vec![acknowledged()]), NOTHING);
        assert_eq!(drive.at(20, vec![]), NOTHING);
    }

    #[test]
    fn what_the_run_before_told_is_not_told_again_whenever_that_is_known() {
        let mut drive = Drive::new(ChannelOptions::default());
        drive.channel.restore([high("a")], drive.start);
        assert_eq!(drive.at(0, vec![high("a"), high("b")]), ["firing b"]);
        assert!(!drive.channel.knows(high("b").id));
        drive.channel.restore([high("b")], drive.moment(5).now);
        assert!(drive.channel.knows(high("b").id), "a next run need not tell it again");
        assert_eq!(drive.at(10, vec![]), ["resolved a", "resolved b"]);
    }

    #[test]
    fn an_end_that_was_told_before_the_history_file_was_open_is_not_told_again() {
        let mut drive = Drive::new(ChannelOptions::default());
        assert_eq!(drive.at(0, vec![high("a"), high("b")]), ["firing a", "firing b"]);
        assert_eq!(drive.at(5, vec![]), ["resolved a", "resolved b"]);
        assert_eq!(drive.at(10, vec![high("b")]), ["firing b"]);
        // Long after the board has forgotten it, too.
        assert_eq!(drive.at(1_000, vec![high("b")]), NOTHING);
        drive.channel.restore([high("a"), high("b"), high("c")], drive.moment(1_000).now);
        assert_eq!(drive.at(1_005, vec![]), ["resolved b", "resolved c"], "c ended before it was told here");
    }

    #[test]
    fn ends_are_remembered_up_to_a_bound() {
        let mut drive = Drive::new(ChannelOptions::default());
        for second in 0..3 {
            let many = (0..MOST).map(|n| high(&format!("{second} {n}"))).collect();
            drive.at(2 * second, many);
            drive.at(2 * second + 1, vec![]);
        }
        assert_eq!(drive.channel.ended.as_ref().map(BTreeMap::len), Some(MOST));
        drive.channel.restore([high("2 7")], drive.moment(10).now);
        assert!(drive.channel.ended.is_none() && !drive.channel.knows(high("2 7").id), "the latest stay");
    }

    #[test]
    fn the_rate_has_a_limit_and_what_waits_is_sent_in_order() {
        let mut drive = Drive::new(ChannelOptions { per_minute: 2, ..ChannelOptions::default() });
        let sent: Vec<_> = (0..4).map(|n| drive.at(n, (0..=n).map(|n| high(&n.to_string())).collect())).collect();
        assert_eq!(sent, [vec!["firing 0".to_owned()], vec!["firing 1".to_owned()], NOTHING, NOTHING]);
        let next = drive.channel.next(drive.moment(3).now).expect("two wait");
        assert!(drive.channel.take(next - Duration::from_millis(10)).is_none());
        let message = drive.channel.take(next).expect("the rate allows it");
        assert_eq!(message.alerts[0].notice.label("subject"), "2");
        assert!(drive.channel.take(next).is_none());
    }

    #[test]
    fn what_a_dropped_message_said_is_told_anew_if_it_still_fires() {
        let mut drive = Drive::new(ChannelOptions { repeat: None, ..ChannelOptions::default() });
        let mut look = |second, notices| {
            let moment = drive.moment(second);
            drive.board.update(notices, moment);
            let dropped = drive.channel.drop_old(moment.now);
            drive.channel.observe(&drive.board, &Identity::default(), moment);
            let waiting = drive.channel.queue.iter().flat_map(|message| &message.alerts);
            (
                dropped,
                waiting.map(|item| format!("{} {}", item.status(), item.notice.label("subject"))).collect::<Vec<_>>(),
            )
        };
        assert_eq!(look(0, vec![high("a"), high("b")]), (0, vec!["firing a".to_owned(), "firing b".to_owned()]));
        assert_eq!(look(3_600, vec![high("a")]), (1, vec!["firing a".to_owned()]), "nobody knows that b fired");
        assert_eq!(look(3_605, vec![high("a")]), (0, vec!["firing a".to_owned()]));
    }

    #[test]
    fn the_end_of_what_arrived_is_told_although_a_repetition_was_dropped() {
        let mut drive =
            Drive::new(ChannelOptions { repeat: Some(Duration::from_secs(600)), ..ChannelOptions::default() });
        let look = |drive: &mut Drive, second, notices| {
            let moment = drive.moment(second);
            drive.board.update(notices, moment);
            drive.channel.drop_old(moment.now);
            drive.channel.observe(&drive.board, &Identity::default(), moment);
        };
        look(&mut drive, 0, vec![high("a")]);
        let id = high("a").id;
        assert!(!drive.channel.knows(id));
        let first = drive.channel.take(drive.moment(1).now).expect("a message");
        drive.channel.arrived(&first);
        assert!(drive.channel.knows(id));
        look(&mut drive, 600, vec![high("a")]);
        look(&mut drive, 4_200, vec![]);
        let ended = drive.channel.take(drive.moment(4_200).now).expect("a message");
        assert_eq!((drive.channel.waiting(), ended.alerts[0].status()), (0, "resolved"));
    }

    #[test]
    fn the_queue_drops_the_oldest_and_what_is_an_hour_old() {
        let mut drive = Drive::new(ChannelOptions::default());
        let mut dropped = 0;
        for look in 0..QUEUE as u64 + 5 {
            let moment = drive.moment(look);
            drive.board.update(vec![high(&look.to_string())], moment);
            dropped += drive.channel.observe(&drive.board, &Identity::default(), moment);
        }
        assert_eq!((dropped, drive.channel.waiting()), (5, QUEUE));
        let oldest = drive.channel.take(drive.moment(200).now).expect("the oldest");
        assert_eq!(oldest.alerts[0].notice.label("subject"), "5");
        assert_eq!(drive.channel.take_back(oldest), 0);
        assert_eq!(drive.channel.drop_old(drive.moment(3_604).now), 0);
        assert_eq!(drive.channel.drop_old(drive.moment(3_605).now), 1);
    }
}
