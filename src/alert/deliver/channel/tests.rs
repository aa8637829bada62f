//! What a channel is told, and when.

use std::collections::BTreeSet;

use super::{super::message::MOST, *};
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

    /// Looks, and sends what the rate allows. Returns how many messages and ends were dropped.
    fn send(&mut self, second: u64, notices: Vec<Notice>, receiver: &mut Receiver) -> u64 {
        let moment = self.moment(second);
        self.board.update(notices, moment);
        let dropped = self.channel.drop_old(moment.now);
        let dropped = dropped + self.channel.observe(&self.board, &Identity::default(), moment);
        while let Some(message) = self.channel.take(moment.now) {
            self.channel.arrived(&message);
            receiver.take(&message);
        }
        dropped
    }
}

/// A receiver that keeps what it was sent: what fires, how often it was sent that, and when what ended did.
#[derive(Default)]
struct Receiver {
    firing: BTreeSet<String>,
    begun: BTreeMap<String, usize>,
    ended: Vec<u64>,
    messages: usize,
}

impl Receiver {
    #[track_caller]
    fn take(&mut self, message: &Message) {
        self.messages += 1;
        assert!(message.alerts.len() <= MOST, "{} alerts in one message", message.alerts.len());
        for item in &message.alerts {
            let subject = item.notice.label("subject").to_owned();
            if let Some(ended) = item.ended {
                assert!(self.firing.remove(&subject), "{subject} ends and never began");
                self.ended.push(ended.as_secs() - 10_000);
            } else {
                self.firing.insert(subject.clone());
                *self.begun.entry(subject).or_default() += 1;
            }
        }
    }
}

/// Returns findings of subjects with these numbers.
fn many(numbers: std::ops::Range<usize>) -> Vec<Notice> {
    numbers.map(|number| high(&format!("{number:04}"))).collect()
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
    let mut drive = Drive::new(ChannelOptions { per_minute: 600, ..ChannelOptions::default() });
    let mut receiver = Receiver::default();
    for round in 0..3 {
        let second = 60 * round as u64;
        drive.send(second, many(round * board::MOST..(round + 1) * board::MOST), &mut receiver);
        drive.send(second + 30, vec![], &mut receiver);
    }
    assert_eq!(drive.channel.ended.as_ref().map(BTreeMap::len), Some(board::MOST));
    drive.channel.restore([high("2007")], drive.moment(200).now);
    assert!(drive.channel.ended.is_none() && !drive.channel.knows(high("2007").id), "the latest stay");
}

#[test]
fn more_changes_than_a_message_holds_are_told_in_further_ones() {
    let mut drive = Drive::new(ChannelOptions::default());
    let severity = |number| if number % 3 == 0 { Severity::High } else { Severity::Medium };
    let fire: Vec<_> = (0..63).map(|number| notice(&number.to_string(), severity(number))).collect();
    drive.board.update(fire.clone(), drive.moment(0));
    drive.channel.observe(&drive.board, &Identity::default(), drive.moment(0));
    let messages: Vec<_> = std::iter::from_fn(|| drive.channel.take(drive.moment(0).now)).collect();
    let high = |message: &Message| message.alerts.iter().filter(|item| item.notice.severity == Severity::High).count();
    let shape = messages.iter().map(|message| (message.alerts.len(), high(message), message.left_out));
    assert_eq!(shape.collect::<Vec<_>>(), [(30, 21, 33), (30, 0, 3), (3, 0, 0)], "the most severe first");
    let mut receiver = Receiver::default();
    messages.iter().for_each(|message| receiver.take(message));
    drive.send(5, fire, &mut receiver);
    assert_eq!((receiver.firing.len(), receiver.messages), (63, 3), "each is told once");
    drive.send(60, vec![], &mut receiver);
    assert_eq!((receiver.firing.len(), receiver.messages), (0, 6));
    drive.send(65, vec![], &mut receiver);
    assert_eq!(receiver.messages, 6);
}

#[test]
fn a_storm_goes_at_the_rate_and_what_is_worse_does_not_wait_for_its_end() {
    let mut drive = Drive::new(ChannelOptions::default());
    let mut receiver = Receiver::default();
    let (storm, mut told) = (many(0..999), Vec::new());
    for second in (0..=300).step_by(5) {
        let worse = (second >= 10).then(|| notice("worse", Severity::Critical));
        drive.send(second, worse.into_iter().chain(storm.iter().cloned()).collect(), &mut receiver);
        assert!(receiver.messages <= 10 + second as usize / 6, "{} messages by {second}", receiver.messages);
        assert!(drive.channel.queue.len() <= 10, "no more wait than go in a minute");
        told.push((second, receiver.firing.len(), receiver.firing.contains("worse")));
    }
    assert_eq!(told[0], (0, 300, false));
    let (second, firing, _) = told.iter().find(|(_, _, worse)| *worse).expect("it is told");
    assert!(*second <= 80 && *firing < 750, "told at {second}, as one of the first {firing}");
    let (second, ..) = told.iter().find(|(_, firing, _)| *firing == 1_000).expect("all are told");
    assert!(*second <= 150, "all are told at {second}");
    assert!(receiver.begun.values().all(|times| *times == 1), "once each");
    (400..=600).step_by(5).for_each(|second| _ = drive.send(second, vec![], &mut receiver));
    assert_eq!((receiver.firing.len(), receiver.ended.len()), (0, 1_000), "and their ends");
    assert_eq!((drive.channel.told.len(), drive.channel.waiting()), (0, 0));
}

#[test]
fn what_has_no_place_in_a_message_yet_is_told_as_it_is_then() {
    let mut drive = Drive::new(ChannelOptions { per_minute: 1, ..ChannelOptions::default() });
    let mut receiver = Receiver::default();
    drive.send(0, many(0..100), &mut receiver);
    assert_eq!((receiver.firing.len(), drive.channel.waiting()), (30, 3), "70 more wait");
    // What ends before it was told is no news, and what ends after it was told is, though the rate is used up.
    (5..=600).step_by(5).for_each(|second| _ = drive.send(second, many(20..60), &mut receiver));
    assert_eq!(receiver.firing, many(20..60).iter().map(|notice| notice.label("subject").to_owned()).collect());
    assert_eq!((receiver.begun.len(), receiver.ended.len()), (60, 20));
}

#[test]
fn an_end_that_waits_for_long_keeps_its_time() {
    let mut drive = Drive::new(ChannelOptions { per_minute: 1, repeat: None, ..ChannelOptions::default() });
    let mut receiver = Receiver::default();
    (0..=1_500).step_by(30).for_each(|second| _ = drive.send(second, many(0..600), &mut receiver));
    assert_eq!(receiver.firing.len(), 600);
    (1_530..=3_000).step_by(30).for_each(|second| _ = drive.send(second, vec![], &mut receiver));
    assert!(drive.board.iter().next().is_none(), "the board has forgotten them");
    assert_eq!((receiver.firing.len(), receiver.ended), (0, vec![1_530; 600]));
}

#[test]
fn repetitions_come_round_to_all_and_wait_for_what_is_new() {
    let repeat = Some(Duration::from_secs(60));
    let mut drive = Drive::new(ChannelOptions { per_minute: 1, repeat, ..ChannelOptions::default() });
    let mut receiver = Receiver::default();
    (0..=1_200).step_by(5).for_each(|second| _ = drive.send(second, many(0..90), &mut receiver));
    let times = |receiver: &Receiver| receiver.begun.values().copied().collect::<BTreeSet<_>>();
    assert_eq!((receiver.begun.len(), times(&receiver)), (90, BTreeSet::from([7])));
    (1_205..=1_320).step_by(5).for_each(|second| _ = drive.send(second, many(0..91), &mut receiver));
    assert!(receiver.firing.contains("0090"), "within two messages");
}

#[test]
fn what_waits_has_a_bound_and_what_is_past_it_is_counted() {
    // 40 new findings at each look are more than the rate lets go.
    let mut drive = Drive::new(ChannelOptions::default());
    let mut receiver = Receiver::default();
    let mut dropped = 0;
    for look in 0..150 {
        dropped += drive.send(5 * look as u64, many(40 * look..40 * (look + 1)), &mut receiver);
        let ends = drive.channel.told.values().filter(|told| told.ended.is_some()).count();
        assert!(ends <= board::MOST && drive.channel.told.len() <= board::MOST + 40);
        assert!(drive.channel.queue.len() <= QUEUE);
    }
    assert!(dropped > 0);
    // A receiver that is down: nothing is dropped but with its message, after an hour.
    let mut drive = Drive::new(ChannelOptions::default());
    for look in 0..30 {
        let moment = drive.moment(100 * look as u64);
        drive.board.update(many(40 * look..40 * (look + 1)), moment);
        assert_eq!(drive.channel.observe(&drive.board, &Identity::default(), moment), 0);
        assert!(drive.channel.queue.len() <= 10 && drive.channel.told.len() <= 10 * MOST);
    }
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
        (dropped, waiting.map(|item| format!("{} {}", item.status(), item.notice.label("subject"))).collect::<Vec<_>>())
    };
    assert_eq!(look(0, vec![high("a"), high("b")]), (0, vec!["firing a".to_owned(), "firing b".to_owned()]));
    assert_eq!(look(3_600, vec![high("a")]), (1, vec!["firing a".to_owned()]), "nobody knows that b fired");
    assert_eq!(look(3_605, vec![high("a")]), (0, vec!["firing a".to_owned()]));
}

#[test]
fn the_end_of_what_arrived_is_told_although_a_repetition_was_dropped() {
    let mut drive = Drive::new(ChannelOptions { repeat: Some(Duration::from_secs(600)), ..ChannelOptions::default() });
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

/// A receiver that was down for an hour must not hold for ever that something fires which ended in that hour.
#[test]
fn an_end_whose_message_was_dropped_is_told_anew_with_its_time() {
    let mut drive = Drive::new(ChannelOptions::default());
    let look = |drive: &mut Drive, second, notices| {
        let moment = drive.moment(second);
        drive.board.update(notices, moment);
        let dropped = drive.channel.drop_old(moment.now);
        dropped + drive.channel.observe(&drive.board, &Identity::default(), moment)
    };
    look(&mut drive, 0, vec![high("a"), high("b"), high("c")]);
    // Under way while all of them end: which of it has arrived is known later.
    let first = drive.channel.take(drive.moment(0).now).expect("a message");
    look(&mut drive, 5, vec![high("d")]);
    drive.channel.arrived(&first);
    look(&mut drive, 10, vec![]);
    look(&mut drive, 20, vec![high("c")]);
    assert_eq!((look(&mut drive, 3_605, vec![high("c")]), look(&mut drive, 3_610, vec![high("c")])), (1, 1));
    let waiting = drive.channel.queue.iter().flat_map(|message| &message.alerts);
    let mut waiting: Vec<_> = waiting.map(|item| (item.notice.label("subject").to_owned(), item.ended)).collect();
    waiting.sort();
    let ended = Some(Duration::from_secs(10_005));
    let expected = [("a", ended), ("b", ended), ("c", None)].map(|(subject, ended)| (subject.to_owned(), ended));
    assert_eq!(waiting, expected, "nobody knows that d fired, and c does again");
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
