//! `/performance/events`: a stream of evaluations and of changes to bottlenecks.
//!
//! Every event has an id: the run of the service, the number of the evaluation, and which event of it. A client that comes again
//! with the last one it saw (`Last-Event-ID`, as browsers do by themselves) gets what it missed, or is told that something is missing.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response, Sse, sse},
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use super::{
    CoreState,
    bottlenecks::{BottleneckView, Counts},
    error::ApiError,
    evidence::Detail,
    timestamp,
};
use crate::{
    alert::Change,
    monitor::{Core, Happening, Place, Text},
};

/// Interval of the keep-alive comments; proxies commonly close a connection that is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A stream that is as old ends once no request has come for so long. Nothing tells a stream that its server stops
/// accepting, as for a deployment, and a graceful shutdown waits for it; but then no requests come any more. Browsers
/// connect again by themselves.
const QUIET: Duration = Duration::from_secs(10);
/// After how long a client connects again.
const RETRY: Duration = Duration::from_secs(1);

/// Data of an event `bottleneck`: a bottleneck started, changed its severity or was resolved.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BottleneckEvent {
    /// `started`, `changed` or `resolved`.
    change: &'static str,
    /// With a summary of its evidence.
    bottleneck: BottleneckView,
    timestamp: String,
}

/// Data of an event `evaluation`, one for each evaluation of the rules.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EvaluationEvent {
    #[serde(flatten)]
    counts: Counts,
    timestamp: String,
}

/// Data of an event `gap`: events are missing between the last one that the client saw and the next.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct GapEvent {
    /// `restarted`: the service was started again since. `too_old`: it was too long ago. `unknown`: the id is none of ours.
    reason: &'static str,
    /// Evaluations whose events are missing; null after a restart, or where that is not known.
    missed_evaluations: Option<u64>,
    timestamp: String,
}

/// A stream of server-sent events: `evaluation` for each evaluation, `bottleneck` when one starts, changes or ends. It ends
/// when no request has come to the service for 10 s, so that it holds up no shutdown; connect again then, with the header
/// `Last-Event-ID`, as browsers do: what was missed comes first, or an event `gap` where it is not kept any more.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/events", tag = "analysis",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 503, description = "Too many listeners", body = super::error::ErrorBody)
    )
))]
pub(super) async fn events(State(core): CoreState, headers: HeaderMap) -> Response {
    if core.has_ended_events() {
        return ApiError::unavailable("the service is shutting down").into_response();
    }
    let Some((place, newest)) = core.listen() else {
        return ApiError::unavailable("too many listeners already; try again later").into_response();
    };
    let last_seen = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or_default());
    let listener = Listener::new(core, place, newest, last_seen);
    Sse::new(listener.follow()).keep_alive(sse::KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// The header with the id of the last event that a client saw.
const LAST_EVENT_ID: &str = "last-event-id";

/// Where an event stands in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    /// Number of the evaluation.
    evaluation: u64,
    /// Of its events.
    event: usize,
}

/// The last event of an evaluation has an id without its number: it stands for all of them.
const WHOLE: usize = usize::MAX;

impl Position {
    fn id(self, run: &str) -> String {
        match self.event {
            WHOLE => format!("{run}-{}", self.evaluation),
            event => format!("{run}-{}.{event}", self.evaluation),
        }
    }

    /// Reads the part of an id behind the run; `None` where it is none.
    fn read(text: &str) -> Option<Self> {
        let (evaluation, event) = match text.split_once('.') {
            Some((evaluation, event)) => (evaluation, event.parse().ok().filter(|event| *event < WHOLE)?),
            None => (text, WHOLE),
        };
        Some(Self { evaluation: evaluation.parse().ok()?, event })
    }
}

/// Returns where a client goes on that comes again, with the gap that it is told of. It begins with what comes next where something
/// is missing: it then asks for the present state itself.
fn resumed(last_seen: &str, run: &str, newest: u64, oldest: u64) -> (Position, Option<(&'static str, Option<u64>)>) {
    let end = Position { evaluation: newest, event: WHOLE };
    let Some((of_run, rest)) = last_seen.rsplit_once('-') else { return (end, Some(("unknown", None))) };
    match Position::read(rest) {
        Some(_) if of_run != run => (end, Some(("restarted", None))),
        Some(at) if at.evaluation > newest => (end, Some(("unknown", None))),
        // The rest of that evaluation's events, and all after it.
        Some(at) if at.evaluation >= oldest || (at.event == WHOLE && at.evaluation + 1 >= oldest) => (at, None),
        Some(at) => (end, Some(("too_old", Some(newest - at.evaluation)))),
        None => (end, Some(("unknown", None))),
    }
}

/// The state of one stream of events.
struct Listener {
    core: Arc<Core>,
    place: Arc<Place>,
    newest: watch::Receiver<u64>,
    ended: watch::Receiver<bool>,
    began: Instant,
    /// The last event that was made ready.
    at: Position,
    /// Whether the last events were made ready.
    last: bool,
    /// Events that were not sent yet, the next one last.
    ready: Vec<sse::Event>,
}

impl Listener {
    fn new(core: Arc<Core>, place: Arc<Place>, mut newest: watch::Receiver<u64>, last_seen: Option<&str>) -> Self {
        // The client learns it even if the service then is quiet.
        let mut ready = vec![sse::Event::default().retry(RETRY)];
        let number = *newest.borrow_and_update();
        let mut at = Position { evaluation: number, event: WHOLE };
        if let Some(last_seen) = last_seen.filter(|id| !id.is_empty()) {
            let oldest = core.happenings_since(0).first().map_or(number + 1, |oldest| oldest.number);
            let (from, gap) = resumed(last_seen, core.run_id(), number, oldest);
            at = from;
            if let Some((reason, missed_evaluations)) = gap {
                let gap = GapEvent { reason, missed_evaluations, timestamp: timestamp::now() };
                ready.insert(0, event(&("gap", json(&gap)), &at.id(core.run_id())));
            }
        }
        let ended = core.events_end();
        Self { core, place, newest, ended, began: Instant::now(), at, last: false, ready }
    }

    /// Makes the events of evaluations ready that were not sent yet, all of those that are kept.
    fn make_ready(&mut self) {
        let run = self.core.run_id();
        let mut events = Vec::new();
        for happening in self.core.happenings_since(self.at.evaluation) {
            let texts = happening.texts(|happening| texts(&self.core, happening));
            for (number, text) in texts.iter().enumerate() {
                let is_last = number + 1 == texts.len();
                let at = Position { evaluation: happening.number, event: if is_last { WHOLE } else { number } };
                if at > self.at {
                    events.push(event(text, &at.id(run)));
                }
            }
            self.at = self.at.max(Position { evaluation: happening.number, event: WHOLE });
            self.last = happening.quiet.min(self.began.elapsed()) >= QUIET;
        }
        if self.last {
            let why = "no request has come for 10 s; the stream ends, so that a shutdown need not wait for it";
            events.push(sse::Event::default().comment(why));
        }
        events.reverse();
        self.ready = events;
    }

    fn follow(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            loop {
                if let Some(event) = listener.ready.pop() {
                    return Some((Ok(event), listener));
                }
                // One that does not read has lost its place; it comes again, and gets what it missed.
                if listener.last || !listener.place.sees(listener.at.evaluation) {
                    return None;
                }
                let is_whole = listener.at.event == WHOLE;
                if is_whole && listener.at.evaluation >= *listener.newest.borrow_and_update() {
                    tokio::select! {
                        changed = listener.newest.changed() => changed.ok()?,
                        _ = listener.ended.wait_for(|ended| *ended) => return None,
                    }
                }
                listener.make_ready();
            }
        })
    }
}

/// Writes the events of one evaluation.
fn texts(core: &Core, happening: &Happening) -> Vec<Text> {
    let counts = Counts::counted(|severity| happening.firing.get(&severity).copied().unwrap_or_default());
    let at = timestamp::of_wall(happening.at);
    let evaluation = EvaluationEvent { counts, timestamp: at.clone() };
    let changes = happening.transitions.iter().map(|transition| {
        let change = match transition.change {
            Change::Started => "started",
            Change::Changed { .. } => "changed",
            Change::Resolved => "resolved",
        };
        let bottleneck = BottleneckView::of(&transition.bottleneck, core, Detail::Summary);
        ("bottleneck", json(&BottleneckEvent { change, bottleneck, timestamp: at.clone() }))
    });
    [("evaluation", json(&evaluation))].into_iter().chain(changes).collect()
}

fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("a view is plain data with text keys")
}

fn event((name, data): &Text, id: &str) -> sse::Event {
    sse::Event::default().event(*name).id(id).data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(last_seen: &str, expected: (u64, usize), gap: Option<(&'static str, Option<u64>)>) {
        let (at, found) = resumed(last_seen, "1f", 9, 4);
        assert_eq!(((at.evaluation, at.event), found), (expected, gap), "{last_seen}");
    }

    #[test]
    fn a_client_goes_on_where_it_was_or_is_told_what_is_missing() {
        check("1f-9", (9, WHOLE), None);
        check("1f-7.2", (7, 2), None);
        check("1f-4.0", (4, 0), None);
        check("1f-3", (3, WHOLE), None);
        check("1f-3.0", (9, WHOLE), Some(("too_old", Some(6))));
        check("1f-2", (9, WHOLE), Some(("too_old", Some(7))));
        check("1e-9", (9, WHOLE), Some(("restarted", None)));
        check("1f-10", (9, WHOLE), Some(("unknown", None)));
        for none_of_ours in ["7", "1f-", "1f-x", "1f-7.", "1f-7.x", "1f-7.18446744073709551615"] {
            check(none_of_ours, (9, WHOLE), Some(("unknown", None)));
        }
        check("1f--7", (9, WHOLE), Some(("restarted", None)));
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        for at in [Position { evaluation: 7, event: 0 }, Position { evaluation: 7, event: WHOLE }] {
            let id = at.id("1f");
            assert_eq!(resumed(&id, "1f", 9, 4), (at, None), "{id}");
        }
    }
}
