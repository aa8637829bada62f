//! [`WaitingEndpoints`]: the endpoints that had requests in flight while another one blocked the runtime.

use std::sync::{Arc, Mutex};

use metrics::Counter;

use crate::{
    context::{Instruments, labelled},
    lock::lock,
    names,
};

/// Waiting endpoints that have a series of their own for each endpoint that blocks; further ones count as `other`.
/// Routes times routes would be too many series, and the few that wait most are the first to come.
const ENDPOINTS: usize = 16;

/// The endpoints that may have waited for the polls of one endpoint. Only windows read these series.
#[derive(Debug, Default)]
pub(super) struct WaitingEndpoints(Mutex<Vec<(Arc<str>, Counter)>>);

impl WaitingEndpoints {
    /// Counts a poll for every endpoint that has a request in flight. `own` is the endpoint of the poll, whose own
    /// request does not count.
    #[cold]
    pub(super) fn count(&self, instruments: &Instruments, own: &[(&'static str, Arc<str>); 2]) {
        let [(_, method), (_, route)] = own;
        let mut known = lock(&self.0);
        instruments.each_in_flight(|name, in_flight| {
            let itself = name.strip_prefix(&**method).and_then(|rest| rest.strip_prefix(' ')) == Some(&**route);
            if in_flight > i64::from(itself) {
                counter(&mut known, instruments, own, name).increment(1);
            }
        });
    }
}

fn counter<'a>(
    known: &'a mut Vec<(Arc<str>, Counter)>,
    instruments: &Instruments,
    own: &[(&'static str, Arc<str>); 2],
    name: &Arc<str>,
) -> &'a Counter {
    let place = known.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        let name = if known.len() < ENDPOINTS { name.clone() } else { names::OTHER.into() };
        if let Some(other) = known.iter().position(|(known, _)| *known == name) {
            return other;
        }
        let [method, route] = own.clone();
        let labels = [method, route, (names::WAITING, name.clone())];
        known.push((name, labelled::counter(instruments.window_recorder(), &names::ENDPOINT_WAITED, &labels)));
        known.len() - 1
    });
    &known[place].1
}
