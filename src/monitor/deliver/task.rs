//! [`Notifications`]: the task that delivers, and what the API shows of it.

use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep_until, timeout},
};
use tracing::{info, warn};

use super::{
    prepared::Prepared,
    sender::{Answer, Sender, jitter},
};
use crate::{
    alert::deliver::{Counted, Delivery, Identity, Job, Moment, Notice, Outcome, ReceiverState, Reply, State, rfc3339},
    context::{DynRecorder, labelled},
    monitor::{Core, Judgement},
    names,
    rules::Bottleneck,
};

/// How long a shutdown waits for what is under way and for what is due.
const FAREWELL: Duration = Duration::from_secs(3);
/// How often what fires is kept for the next run, where nothing changes.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// The state of each receiver, as the task last saw it.
#[derive(Debug, Default)]
pub(crate) struct Notifications(ArcSwap<Vec<ReceiverState>>);

impl Notifications {
    pub(crate) fn states(&self) -> Arc<Vec<ReceiverState>> {
        self.0.load_full()
    }
}

/// What is being sent, each with its receiver.
type Flights = Vec<(usize, Pin<Box<dyn Future<Output = Answer> + Send>>)>;

/// The task's state.
pub(in crate::monitor) struct Task {
    core: Arc<Core>,
    delivery: Delivery,
    senders: Vec<Arc<Sender>>,
    flights: Flights,
    counters: BTreeMap<(Arc<str>, &'static str), metrics::Counter>,
    /// When what fires was last kept.
    kept: Option<(Instant, Vec<(String, usize)>)>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

impl Task {
    pub(in crate::monitor) fn new(core: Arc<Core>, prepared: Prepared) -> Self {
        let Prepared { options, receivers } = prepared;
        let moment = core.moment(Instant::now());
        let mut senders = Vec::new();
        let targets = receivers.into_iter().map(|(name, target, sender)| {
            senders.push(Arc::new(sender));
            (name, target)
        });
        let delivery = Delivery::new(options, targets.collect::<Vec<_>>(), moment);
        let counters = counters(core.instruments().recorder(), &delivery.states(moment.now));
        let mut task = Self { core, delivery, senders, flights: Vec::new(), counters, kept: None };
        task.restore(moment);
        task.publish(moment.now);
        task
    }

    /// Delivers until the monitor stops.
    pub(in crate::monitor) async fn run(
        mut self,
        mut judgements: broadcast::Receiver<Arc<Judgement>>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            let now = Instant::now();
            let next = self.delivery.next(now).unwrap_or(now + KEEP_AWAKE);
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                judgement = judgements.recv() => match judgement {
                    Ok(judgement) => self.observe(&newest(judgement, &mut judgements)),
                    // Fewer looks, not fewer alerts: the next judgement has all that fires.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                (receiver, answer) = first(&mut self.flights) => self.finished(receiver, &answer.reply),
                () = sleep_until(next) => {}
            }
            self.send();
            self.publish(Instant::now());
        }
        self.farewell().await;
    }

    /// Takes what the run before knew, once the history file can be read. Returns whether it could be by now.
    fn restore(&mut self, moment: Moment) -> bool {
        let json = self.core.take_restored(super::stored::KEY);
        if let Some(json) = &json {
            self.delivery.restore(super::stored::from_json(json), moment);
        }
        json.is_some()
    }

    /// Takes what an evaluation found.
    fn observe(&mut self, judgement: &Judgement) {
        // Before the first evaluation nothing is known, neither that alerts fire nor that they ended.
        if judgement.at.is_none() {
            return;
        }
        let moment = self.core.moment(Instant::now());
        let is_restored = self.restore(moment);
        let identity = self.delivery.identity().clone();
        let notices = notices(&self.core, judgement, &identity, moment);
        let counted = self.delivery.observe(notices, moment);
        self.count(counted);
        self.keep(moment, is_restored);
    }

    /// Begins to send what is due.
    fn send(&mut self) {
        for Job { receiver, body } in self.delivery.jobs(self.core.moment(Instant::now())) {
            let Some(sender) = self.senders.get(receiver).cloned() else { continue };
            self.flights.push((receiver, Box::pin(async move { sender.send(&body).await })));
        }
    }

    fn finished(&mut self, receiver: usize, reply: &Reply) {
        let moment = self.core.moment(Instant::now());
        let before = self.state(receiver, moment.now);
        let counted = self.delivery.finished(receiver, reply, moment, jitter());
        self.count(counted);
        log(before.as_ref(), reply);
    }

    fn state(&self, receiver: usize, now: Instant) -> Option<ReceiverState> {
        self.delivery.states(now).into_iter().nth(receiver)
    }

    fn count(&self, counted: Vec<Counted>) {
        for Counted { receiver, outcome, count } in counted {
            if let Some(counter) = self.counters.get(&(receiver, word(outcome))) {
                counter.increment(count);
            }
        }
    }

    fn publish(&self, now: Instant) {
        self.core.notifications().0.store(Arc::new(self.delivery.states(now)));
    }

    /// Keeps what fires for the next run: at each change, now and then with the present time, and where it `must`.
    fn keep(&mut self, moment: Moment, must: bool) {
        let stored = self.delivery.stored(moment);
        let key: Vec<_> = stored.iter().map(|alert| (format!("{:?}", alert.labels), alert.told.len())).collect();
        let is_due = match &self.kept {
            None => !stored.is_empty(),
            Some((at, kept)) => {
                let is_old = moment.now.saturating_duration_since(*at) >= KEEP_EVERY && !stored.is_empty();
                *kept != key || is_old || must
            }
        };
        if is_due {
            self.kept = Some((moment.now, key));
            self.core.keep(super::stored::KEY, super::stored::to_json(stored));
        }
    }

    /// Sends what is due a last time. What fires goes on firing for its receivers: that the monitor stops ends nothing.
    async fn farewell(mut self) {
        self.send();
        let rest = async {
            while !self.flights.is_empty() {
                let (receiver, answer) = first(&mut self.flights).await;
                self.finished(receiver, &answer.reply);
            }
        };
        if timeout(FAREWELL, rest).await.is_err() {
            warn!("notifications that were under way at the shutdown may not have arrived");
        }
        self.keep(self.core.moment(Instant::now()), true);
        self.publish(Instant::now());
    }
}

/// How long the task sleeps at most; judgements wake it before.
const KEEP_AWAKE: Duration = Duration::from_secs(3600);

/// Returns the newest of the judgements that are there.
fn newest(mut judgement: Arc<Judgement>, judgements: &mut broadcast::Receiver<Arc<Judgement>>) -> Arc<Judgement> {
    while let Ok(newer) = judgements.try_recv() {
        judgement = newer;
    }
    judgement
}

/// Waits for the first of these to end, and takes it out; for ever where there is none. Can be dropped without losing one.
async fn first(flights: &mut Flights) -> (usize, Answer) {
    poll_fn(|context| {
        for index in 0..flights.len() {
            if let Poll::Ready(answer) = flights[index].1.as_mut().poll(context) {
                let (receiver, _) = flights.swap_remove(index);
                return Poll::Ready((receiver, answer));
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns what fires as alerts.
fn notices(core: &Core, judgement: &Judgement, identity: &Identity, moment: Moment) -> Vec<Notice> {
    let notice = |bottleneck: &Arc<Bottleneck>| {
        let acknowledged = core.acknowledgement(bottleneck).map(|one| {
            let until = rfc3339(one.until);
            format!("by {} until {until}: {}", one.by, one.reason)
        });
        Notice::of(bottleneck, identity, acknowledged, moment)
    };
    judgement.firing.iter().map(notice).collect()
}

/// Registers every counter, so that an alert sees the first failure.
fn counters(recorder: &DynRecorder, states: &[ReceiverState]) -> BTreeMap<(Arc<str>, &'static str), metrics::Counter> {
    let outcomes = [Outcome::Accepted, Outcome::Failed, Outcome::Rejected, Outcome::Dropped].map(word);
    let all = states.iter().flat_map(|state| outcomes.map(|outcome| (state.name.clone(), outcome)));
    let counter = |(receiver, outcome): (Arc<str>, &'static str)| {
        let labels = [(names::RECEIVER, receiver.clone()), (names::OUTCOME, outcome.into())];
        let counter = labelled::counter(recorder, &names::NOTIFICATIONS, &labels);
        counter.increment(0);
        ((receiver, outcome), counter)
    };
    all.map(counter).collect()
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => names::OK,
        Outcome::Failed => names::ERROR,
        Outcome::Rejected => names::REJECTED,
        Outcome::Dropped => names::DROPPED,
    }
}

/// Logs that a receiver began to fail, or works again; each once.
fn log(before: Option<&ReceiverState>, reply: &Reply) {
    let Some(before) = before else { return };
    let (receiver, was_failing) = (&*before.name, matches!(before.state, State::Failing { .. }));
    match reply {
        Reply::Accepted if was_failing => info!(receiver, "notifications arrive again"),
        Reply::Failed { error, .. } if !was_failing => {
            warn!(receiver, error, "notifications do not arrive; they are tried again")
        }
        Reply::Rejected { error } => warn!(receiver, error, "a notification was rejected"),
        Reply::Accepted | Reply::Failed { .. } => {}
    }
}
