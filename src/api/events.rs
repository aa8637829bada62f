//! `/performance/events`: a stream of evaluations and of changes to bottlenecks.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response, Sse, sse},
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, watch},
    time::Instant,
};

use super::{
    CoreState,
    bottlenecks::{BottleneckView, Counts},
    error::ApiError,
    evidence::Detail,
    timestamp,
};
use crate::{
    alert::Change,
    monitor::{Core, Judgement},
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

/// A stream of server-sent events: `evaluation` for each evaluation, `bottleneck` when one starts, changes or ends. It ends
/// when no request has come to the service for 10 s, so that it holds up no shutdown; connect again then.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/events", tag = "analysis",
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 503, description = "Too many listeners", body = super::error::ErrorBody)
    )
))]
pub(super) async fn events(State(core): CoreState) -> Response {
    if core.has_ended_events() {
        return ApiError::unavailable("the service is shutting down").into_response();
    }
    let Some((judgements, place)) = core.listen() else {
        return ApiError::unavailable("too many listeners already; try again later").into_response();
    };
    Sse::new(follow(core, judgements, place)).keep_alive(sse::KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// The state of one stream of events.
struct Listener {
    core: Arc<Core>,
    judgements: broadcast::Receiver<Arc<Judgement>>,
    ended: watch::Receiver<bool>,
    began: Instant,
    /// Whether the last events were rendered.
    last: bool,
    /// Rendered events that were not sent yet, the next one last.
    ready: Vec<sse::Event>,
    _place: OwnedSemaphorePermit,
}

fn follow(
    core: Arc<Core>,
    judgements: broadcast::Receiver<Arc<Judgement>>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let ended = core.events_end();
    let listener = Listener {
        core,
        judgements,
        ended,
        began: Instant::now(),
        last: false,
        // The client learns it even if the service then is quiet.
        ready: vec![sse::Event::default().retry(RETRY)],
        _place: place,
    };
    stream::unfold(listener, |mut listener| async move {
        loop {
            if let Some(event) = listener.ready.pop() {
                return Some((Ok(event), listener));
            }
            if listener.last {
                return None;
            }
            let judgement = tokio::select! {
                judgement = listener.judgements.recv() => judgement,
                _ = listener.ended.wait_for(|ended| *ended) => return None,
            };
            match judgement {
                Ok(judgement) => {
                    listener.ready = render(&listener.core, &judgement);
                    listener.last = judgement.quiet.min(listener.began.elapsed()) >= QUIET;
                    if listener.last {
                        let why =
                            "no request has come for 10 s; the stream ends, so that a shutdown need not wait for it";
                        listener.ready.insert(0, sse::Event::default().comment(why));
                    }
                }
                // A slow listener misses evaluations; the next one reports the present state again.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}

/// Renders the events of one evaluation, in reverse, since the listener pops them from the end.
fn render(core: &Core, judgement: &Judgement) -> Vec<sse::Event> {
    let evaluation = EvaluationEvent { counts: Counts::of(&judgement.firing), timestamp: timestamp::now() };
    let changes = judgement.transitions.iter().map(|transition| {
        let change = match transition.change {
            Change::Started => "started",
            Change::Changed { .. } => "changed",
            Change::Resolved => "resolved",
        };
        let bottleneck = BottleneckView::of(&transition.bottleneck, core, Detail::Summary);
        event("bottleneck", &BottleneckEvent { change, bottleneck, timestamp: timestamp::now() })
    });
    let mut events: Vec<_> = [event("evaluation", &evaluation)].into_iter().chain(changes).collect();
    events.reverse();
    events
}

fn event(name: &str, data: &impl Serialize) -> sse::Event {
    let data = serde_json::to_string(data).expect("a view is plain data with text keys");
    sse::Event::default().event(name).data(data)
}
