//! [`Waited`]: which endpoints had requests in flight while another blocked the runtime.

use std::sync::{Arc, Mutex, PoisonError};

use metrics::Counter;

use crate::{
    context::{Instruments, labelled},
    names,
};

/// Endpoints told apart for each that blocks; further ones count as `other`. Only a few share a moment.
const ENDPOINTS: usize = 16;

/// Who may have waited for the polls of one endpoint. Only windows know these series.
#[derive(Debug, Default)]
pub(super) struct Waited(Mutex<Vec<(Arc<str>, Counter)>>);

impl Waited {
    /// Counts a poll for every endpoint that has a request in flight; `own` is that of the poll, which has one itself.
    #[cold]
    pub(super) fn count(&self, instruments: &Instruments, own: &[(&'static str, Arc<str>); 2]) {
        let [(_, method), (_, route)] = own;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
