//! HTTP clients of the users.
//!
//! Each user has a client of its own, as each visitor of a site has a browser: its own connection and its own cookies,
//! and no pool that users fight over.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, redirect};
use thiserror::Error;

use super::wire::{Reach, Wire, WireLayer};
use super::{LoadPlan, Shared};
use crate::record::Recorder;

/// Whether redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// A redirect is the response.
    Answer,
    /// Up to so many in a row; each one is counted, since the server sees it as a request.
    Follow(usize),
}

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    /// Whether certificates that nobody vouches for are taken.
    pub(crate) accept_invalid_certs: bool,
    /// Whether compressed responses are asked for.
    pub(crate) gzip: bool,
    /// What happens on a redirect.
    pub(crate) redirects: Redirects,
    /// Longest time until a connection is made.
    pub(crate) connect_timeout: Duration,
}

/// No client could be built.
#[derive(Debug, Error)]
#[error("{}", innermost(.0))]
pub(crate) struct ClientError(reqwest::Error);

/// The cause that names the matter; what is around it says "builder error".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Builds the users' clients.
#[derive(Clone, Debug)]
pub(super) struct ClientFactory {
    settings: ClientSettings,
    encrypted: bool,
    recorder: Arc<Recorder>,
    reach: Arc<Reach>,
}

/// A client, and what becomes of its connections.
#[derive(Clone, Debug)]
pub(super) struct UserClient {
    pub(super) client: Client,
    pub(super) wire: Arc<Wire>,
}

impl ClientFactory {
    pub(super) fn new(plan: &LoadPlan, shared: &Shared) -> Self {
        Self {
            settings: plan.client.clone(),
            encrypted: plan.base.scheme() == "https",
            recorder: Arc::clone(&shared.recorder),
            reach: Arc::clone(&shared.reach),
        }
    }

    pub(super) fn build(&self, cookies: bool) -> Result<UserClient, ClientError> {
        let wire = Arc::new(Wire::new(Arc::clone(&self.reach)));
        let mut builder = Client::builder()
            .user_agent(concat!("pinchpoint-loadtest/", env!("CARGO_PKG_VERSION")))
            .cookie_store(cookies)
            .gzip(self.settings.gzip)
            .connect_timeout(self.settings.connect_timeout)
            .redirect(self.redirect_policy(&wire))
            .connector_layer(WireLayer(Arc::clone(&wire)))
            // What is measured is the target and not whatever HTTP_PROXY names; and a request is one request.
            .no_proxy()
            .retry(reqwest::retry::never())
            .pool_idle_timeout(None)
            .tcp_nodelay(true);
        if self.encrypted {
            builder = builder.tls_danger_accept_invalid_certs(self.settings.accept_invalid_certs);
        } else if self.settings.redirects == Redirects::Answer {
            // Nothing will be encrypted: reading the system's certificates would cost each user some milliseconds.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(ClientError)?;
        Ok(UserClient { client, wire })
    }

    fn redirect_policy(&self, wire: &Arc<Wire>) -> redirect::Policy {
        match self.settings.redirects {
            Redirects::Answer => redirect::Policy::none(),
            Redirects::Follow(most) => {
                let (recorder, wire) = (Arc::clone(&self.recorder), Arc::clone(wire));
                redirect::Policy::custom(move |attempt| {
                    if attempt.previous().len() > most {
                        return attempt.error("too many redirects");
                    }
                    recorder.count_redirect();
                    wire.follow();
                    attempt.follow()
                })
            }
        }
    }
}
