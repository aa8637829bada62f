//! Decides whether an exchange was a success, and how its failure is described.

use super::{
    exchange::{Exchange, ExchangeEnd},
    idle_close::IdleClose,
    transport_error::explain,
};
use crate::{
    printable::printable_line,
    record::{FailureKind, Outcome},
    scenario::Response,
};

/// An example in a report is one line of a table.
const EXCERPT_BYTES: usize = 200;

/// The outcome of an exchange; of a failure also its kind and the start of the response's body.
#[derive(Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) outcome: Outcome,
    pub(super) failure: Option<(FailureKind, Option<String>)>,
}

impl Judgement {
    /// Judges an exchange. `expect` is called for a complete response and says why it is not what was expected.
    pub(super) fn of(
        exchange: &Exchange,
        needs_body: bool,
        expect: impl FnOnce(&mut Response<'_>) -> Result<(), String>,
    ) -> Self {
        let fail = |outcome, why: &str| Self { outcome, failure: Some((FailureKind::new(why), None)) };
        match &exchange.end {
            ExchangeEnd::Complete => Self::of_response(exchange, needs_body, expect),
            ExchangeEnd::TimedOut if exchange.never_sent => fail(Outcome::TimedOut, "no connection in time"),
            ExchangeEnd::TimedOut => fail(Outcome::TimedOut, "no complete response in time"),
            ExchangeEnd::GivenUp if exchange.never_sent => {
                fail(Outcome::Cancelled, "given up at the end of the test, before a connection was made")
            }
            ExchangeEnd::GivenUp => fail(Outcome::Cancelled, "given up at the end of the test"),
            ExchangeEnd::Error(_) if exchange.idle_close == IdleClose::Failed => fail(
                Outcome::Broken,
                "the server closed the idle connection as the request was sent, whose method does not allow to send it again",
            ),
            ExchangeEnd::Unsendable(why) => fail(Outcome::Unsent, why),
            ExchangeEnd::Error(error) => fail(Outcome::Broken, &explain(error)),
        }
    }

    fn of_response(
        exchange: &Exchange,
        needs_body: bool,
        expect: impl FnOnce(&mut Response<'_>) -> Result<(), String>,
    ) -> Self {
        let response = &exchange.response;
        let Some(status) = response.status else { return Self { outcome: Outcome::Success, failure: None } };
        let body = &response.body.kept;
        if let Some(problem) = &response.body.problem {
            let why = format!("the compressed body cannot be decoded: {problem}");
            return Self { outcome: Outcome::Rejected, failure: Some((FailureKind::new(&why), None)) };
        }
        let Err(mut why) = expect(&mut Response::new(status.as_u16(), &response.headers, &body.bytes)) else {
            return Self { outcome: Outcome::Success, failure: None };
        };
        if body.is_cut && needs_body {
            why.push_str(" (body longer than 4 MiB, of which only the start is looked at)");
        }
        Self { outcome: Outcome::Rejected, failure: Some((FailureKind::new(&why), excerpt(&body.bytes))) }
    }
}

/// Returns the start of a body on one line; `None` for an empty one.
fn excerpt(body: &[u8]) -> Option<String> {
    let start = &body[..body.len().min(EXCERPT_BYTES)];
    let mut line = printable_line(&String::from_utf8_lossy(start));
    if body.len() > EXCERPT_BYTES {
        // The cut may be within a character.
        line.truncate(line.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
        line.push('…');
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use reqwest::StatusCode;

    use super::*;
    use crate::engine::{
        body::{FinishedBody, KeptBody},
        exchange::PartialResponse,
    };

    #[derive(Clone, Copy)]
    enum Sent {
        Yes,
        Never,
    }

    fn exchange(end: ExchangeEnd, sent: Sent, body: &str) -> Exchange {
        let kept = KeptBody { bytes: body.into(), is_cut: true, ..KeptBody::default() };
        let body = FinishedBody { kept, ..FinishedBody::default() };
        let response = PartialResponse { status: Some(StatusCode::OK), body, ..PartialResponse::default() };
        let never_sent = matches!(sent, Sent::Never);
        Exchange { end, response, sent: Instant::now(), ended: Instant::now(), never_sent, idle_close: IdleClose::None }
    }

    #[track_caller]
    fn check(exchange: &Exchange, expected: Result<(), &str>, outcome: Outcome, failure: Option<(&str, Option<&str>)>) {
        let judgement = Judgement::of(exchange, true, |_| expected.map_err(str::to_owned));
        let found = judgement.failure.as_ref().map(|(kind, example)| (kind.as_str(), example.as_deref()));
        assert_eq!((judgement.outcome, found), (outcome, failure));
    }

    #[test]
    fn only_a_complete_and_expected_response_is_a_success() {
        let complete = exchange(ExchangeEnd::Complete, Sent::Yes, "not\n found");
        check(&complete, Ok(()), Outcome::Success, None);
        let why = "status 404 (body longer than 4 MiB, of which only the start is looked at)";
        check(&complete, Err("status 404"), Outcome::Rejected, Some((why, Some("not found"))));
        let late = exchange(ExchangeEnd::TimedOut, Sent::Yes, "");
        check(&late, Ok(()), Outcome::TimedOut, Some(("no complete response in time", None)));
    }

    #[test]
    fn a_request_that_was_never_sent_is_described_so() {
        let late = exchange(ExchangeEnd::TimedOut, Sent::Never, "");
        check(&late, Ok(()), Outcome::TimedOut, Some(("no connection in time", None)));
        let given_up = exchange(ExchangeEnd::GivenUp, Sent::Yes, "");
        check(&given_up, Ok(()), Outcome::Cancelled, Some(("given up at the end of the test", None)));
        let given_up = exchange(ExchangeEnd::GivenUp, Sent::Never, "");
        let why = "given up at the end of the test, before a connection was made";
        check(&given_up, Ok(()), Outcome::Cancelled, Some((why, None)));
    }
}
