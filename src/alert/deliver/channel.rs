//! [`Channel`]: a webhook or a command. It gets each change once, in messages that wait in a queue.
//!
//! The invariant that a change could break: what counts as sent is what stands in a message. A look with more changes than its
//! messages have places leaves the rest unmarked, so that the next look finds it again, as it is then.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Moment,
    board::{self, Board, Phase},
    bucket::Bucket,
    message::{self, Item, Message},
    notice::{Identity, Notice},
};
use crate::rules::Severity;

/// Messages that wait at most.
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
    /// The alerts whose beginning was put into the queue or sent, and whose end was not.
    told: BTreeMap<u64, Told>,
    /// Changes that had no place in a message at the last look.
    rest: usize,
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
    /// When it ended, since the Unix epoch, while that waits for a place in a message.
    ended: Option<Duration>,
}

/// Something to put into a message.
struct Change<'a> {
    kind: ChangeKind,
    /// When it was last put into a message.
    last: Option<Instant>,
    notice: &'a Notice,
    ended: Option<Duration>,
    is_known: bool,
}

/// In the order in which they get places in messages: what still fires as before is no news.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ChangeKind {
    Begin,
    End,
    Repetition,
}

impl Change<'_> {
    fn item(&self) -> Item {
        Item { notice: self.notice.clone(), ended: self.ended, is_known: self.is_known }
    }
}

impl Channel {
    pub(super) fn new(options: ChannelOptions, now: Instant) -> Self {
        let (queue, told, ended) = (VecDeque::new(), BTreeMap::new(), Some(BTreeMap::new()));
        Self { options, queue, told, rest: 0, ended, bucket: Bucket::full(options.per_minute, now) }
    }

    /// Takes the alerts whose beginning the run before sent. What this run has told by now stays told, ends too: the history file may be
    /// open late.
    pub(super) fn restore(&mut self, told: impl IntoIterator<Item = Notice>, now: Instant) {
        let ended = self.ended.take().unwrap_or_default();
        told.into_iter().filter(|notice| !ended.contains_key(&notice.id)).for_each(|notice| self.was_told(notice, now));
    }

    fn was_told(&mut self, notice: Notice, now: Instant) {
        let told = self.told.entry(notice.id).or_insert(Told { notice, at: Some(now), arrived: true, ended: None });
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
            let waiting = self.queue.iter_mut().flat_map(|message| &mut message.alerts);
            waiting.filter(|item| item.notice.id == id).for_each(|item| item.is_known = true);
        }
    }

    /// Puts what changed into messages, the most severe first. Returns how many messages and ends were dropped for it.
    pub(super) fn observe(&mut self, board: &Board, identity: &Identity, moment: Moment) -> u64 {
        let dropped = self.note_ends(board, moment);
        let places = self.places();
        let changes = self.changes(board, moment.now);
        let mut left = changes.len();
        let chosen = changes.chunks(message::MOST).take(places);
        let chosen: Vec<Vec<Item>> = chosen.map(|changes| changes.iter().map(Change::item).collect()).collect();
        for items in chosen {
            left -= items.len();
            if let Some(message) = Message::of(items, left, identity, moment) {
                self.mark(&message, moment.now);
                self.queue.push_back(message);
            }
        }
        self.rest = left;
        dropped + self.drop_surplus()
    }

    /// Returns how many messages a look may make: up to as many waiting as may go in a minute. What changes in a look gets a message
    /// in any case, unless more waits for a place already: then it joins that, and the most severe of both goes next.
    fn places(&self) -> usize {
        let a_minute = usize::try_from(self.options.per_minute).unwrap_or(QUEUE).min(QUEUE);
        a_minute.saturating_sub(self.queue.len()).max(usize::from(self.rest == 0))
    }

    /// Notes what ended, and forgets what is not sent: what a person acknowledged, and the oldest ends past a bound. Returns how many
    /// of the latter there were.
    fn note_ends(&mut self, board: &Board, moment: Moment) -> u64 {
        let resolved = self.options.resolved;
        self.told.retain(|id, told| {
            told.ended = match board.get(*id).map(|alert| alert.phase) {
                Some(Phase::Firing | Phase::Unconfirmed { .. }) => None,
                Some(Phase::Ended { is_acknowledged: true, .. }) => return false,
                Some(Phase::Ended { at, .. }) => Some(at),
                // It ended so long ago that the board has forgotten it.
                None => told.ended.or(Some(moment.wall)),
            };
            resolved || told.ended.is_none()
        });
        let mut ended: Vec<_> = self.told.iter().filter_map(|(id, told)| Some((told.ended?, *id))).collect();
        let surplus = ended.len().saturating_sub(board::MOST);
        ended.sort_unstable();
        for (_, id) in &ended[..surplus] {
            self.told.remove(id);
        }
        surplus as u64
    }

    /// Returns what began, what ended, and what is due again, in the order in which it gets places in messages.
    fn changes<'a>(&'a self, board: &'a Board, now: Instant) -> Vec<Change<'a>> {
        let ends = self.told.values().filter(|told| told.ended.is_some()).map(|told| Change {
            kind: ChangeKind::End,
            last: None,
            notice: &told.notice,
            ended: told.ended,
            is_known: told.arrived,
        });
        let firing = board.firing().filter(|(_, alert)| alert.notice.severity >= self.options.min_severity);
        let due = firing.filter_map(|(id, alert)| {
            let told = self.told.get(&id);
            let last = told.and_then(|told| told.at);
            let is_due = last
                .is_none_or(|at| self.options.repeat.is_some_and(|repeat| now.saturating_duration_since(at) >= repeat));
            let kind = if told.is_some() { ChangeKind::Repetition } else { ChangeKind::Begin };
            let is_known = told.is_some_and(|told| told.arrived);
            is_due.then_some(Change { kind, last, notice: &alert.notice, ended: None, is_known })
        });
        let mut changes: Vec<_> = due.chain(ends).collect();
        changes.sort_by(|a, b| {
            let key = |change: &Change<'_>| (change.kind, change.last, Reverse(change.notice.severity));
            key(a).cmp(&key(b)).then_with(|| a.notice.labels.cmp(&b.notice.labels))
        });
        changes
    }

    /// Notes what a message says as told.
    fn mark(&mut self, message: &Message, now: Instant) {
        for Item { notice, ended, .. } in &message.alerts {
            if ended.is_some() {
                self.told.remove(&notice.id);
                if let Some(known) = &mut self.ended {
                    known.insert(notice.id, now);
                }
                continue;
            }
            let arrived = self.knows(notice.id);
            self.told.insert(notice.id, Told { notice: notice.clone(), at: Some(now), arrived, ended: None });
            if let Some(known) = &mut self.ended {
                known.remove(&notice.id);
            }
        }
        let Some(known) = &mut self.ended else { return };
        while known.len() > board::MOST {
            let Some(oldest) = known.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id) else { break };
            known.remove(&oldest);
        }
    }

    /// Drops the oldest messages past [`QUEUE`].
    fn drop_surplus(&mut self) -> u64 {
        let surplus = self.queue.len().saturating_sub(QUEUE);
        self.drop_first(surplus)
    }

    /// Drops the oldest messages. What they say fires is told anew at the next look, if it still does, and what they say ended, if the
    /// receiver was told that it began.
    fn drop_first(&mut self, messages: usize) -> u64 {
        for Item { notice, ended, is_known } in self.queue.drain(..messages).flat_map(|message| message.alerts) {
            match self.told.entry(notice.id) {
                Entry::Occupied(mut told) if ended.is_none() && told.get().arrived => told.get_mut().at = None,
                Entry::Occupied(told) if ended.is_none() => drop(told.remove()),
                // It fires again by now, and the receiver believes that it does.
                Entry::Occupied(_) => {}
                Entry::Vacant(told) if ended.is_some() && is_known => {
                    told.insert(Told { notice, at: None, arrived: true, ended });
                }
                Entry::Vacant(_) => {}
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

    /// Returns how many messages wait, with those that are still to be made.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.rest.div_ceil(message::MOST)
    }
}

#[cfg(test)]
mod tests;
