//! What clients do, and what a service does to them.

use super::{CauseKind::*, Entry, NONE, Severity};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        kind: SlowUpload,
        title: "the client sends its request slowly",
        signature: "most of the time the handler waits for the request's body",
        neighbours: &[
            (SlowReader, "which side is waited for: the request's body or the response's"),
            (UntrackedWait, "whether the wait is for the body"),
        ],
        undecided: "compare the time to the head of the response with the whole",
        advice: &[&[
            "The service waits for the client: bound the wait for a body (RequestBodyTimeoutLayer) and its size, and hold no lock \
             and no connection while it arrives",
        ]],
        certainty: "certain where the wait for the body was measured",
        by_design: Some("large uploads over slow lines"),
        at_most: Some(Severity::Low),
    },
    Entry {
        kind: SlowReader,
        title: "the client reads the response slowly",
        signature: "parts of the response are ready and are not taken",
        neighbours: &[
            (SlowProducer, "whether a part was ready: then the client is late, otherwise the producer"),
            (SlowUpload, "which side is waited for"),
        ],
        undecided: "compare the time that the body is pending with the time until the next part is asked for",
        advice: &[&[
            "The service waits for the client: bound how long a response may take, and hold no lock and no connection while it is sent",
        ]],
        certainty: "certain where the waits of the body were measured",
        by_design: Some("large downloads over slow lines"),
        at_most: Some(Severity::Low),
    },
    Entry {
        kind: SlowProducer,
        title: "the parts of a streamed response come slowly",
        signature: "the head is sent early, and most of the time the service itself makes the next part",
        neighbours: &[
            (SlowReader, "whether a part was ready"),
            (LongPoll, "whether the head was sent before the wait"),
        ],
        undecided: "compare the time that the body is pending with the time until the next part is asked for",
        advice: &[&[
            "Look at what makes the parts of the stream; judge it by its first byte and its pauses and not by its length",
        ]],
        certainty: "likely where the time to the head is a small part of the whole",
        by_design: Some("a streamed answer"),
        at_most: Some(Severity::Medium),
    },
    Entry {
        kind: OwnTimeout,
        title: "a time-out of the service's own ends the requests",
        signature: "those that fail or are cut short all end at one duration, and those that succeed take less",
        neighbours: &[
            (ImpatientClients, "the spread of the durations: clients have time-outs of different lengths"),
            (ChangedMind, "when they end: before the endpoint's median, at any time"),
        ],
        undecided: "look for a time-out of {duration} in the service (TimeoutLayer, tokio::time::timeout) and in its clients",
        advice: &[&[
            "Make what is waited for faster than {duration}, or the time-out longer; the time-out alone is no cause",
            "Make what is waited for faster than the time-out, or the time-out longer; the time-out alone is no cause",
        ]],
        certainty: "likely where they are answered with 408, 503 or 504; otherwise possible",
        ..NONE
    },
    Entry {
        kind: ImpatientClients,
        title: "clients give up before the answer",
        signature: "requests are cut short after waiting longer than the usual answer takes, or that takes more than a second",
        neighbours: &[
            (OwnTimeout, "the spread of the durations"),
            (ChangedMind, "when they end: before or after the endpoint's median"),
        ],
        undecided: "look for a time-out of {duration} in the service (TimeoutLayer, tokio::time::timeout) and in its clients",
        advice: &[&["Answer sooner than the clients' time-outs; see what the requests wait for"]],
        certainty: "likely where the durations of the cut requests vary and are long",
        ..NONE
    },
    Entry {
        kind: ChangedMind,
        title: "clients change their mind",
        signature: "requests are cut short before the endpoint's usual answer, which comes within 250ms",
        neighbours: &[(ImpatientClients, "when they end: before or after the endpoint's median")],
        undecided: "compare the durations of the cut requests with those that were answered",
        advice: &[&[
            "Nothing is slow: let clients wait a moment before they ask (debounce), and stop the work when they leave",
        ]],
        certainty: "likely where they end well before the median of the answered ones, and that is at most 250ms",
        by_design: Some("a search while typing"),
        at_most: Some(Severity::Low),
    },
    Entry {
        kind: WorkForNobody,
        title: "work is done for requests that end before their answer",
        signature: "a large share of the endpoint's time was spent on requests that ended before their answer",
        neighbours: &[(ImpatientClients, "that is why they leave; this is what it costs")],
        undecided: "see why the clients leave: the finding on abandoned requests says it",
        advice: &[&[
            "Stop the work when they end, and see to why they do: {why}",
            "See why they end, which decides the fix: clients that give up need a sooner answer, those that change their mind a moment \
             before they ask (debounce), and a time-out of the service's own a faster answer or more time",
        ]],
        certainty: "certain: the time was measured",
        ..NONE
    },
];
