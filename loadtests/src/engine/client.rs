//! The users' HTTP clients.
//!
//! Each user has a client of its own, as each visitor of a site has a browser: its own connection and its own cookies, and
//! no pool whose lock users would share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Client, Url, redirect};
use rustls::client::Resumption;
use rustls_platform_verifier::Verifier;
use thiserror::Error;

use super::{
    connections::{AllConnections, ClientConnections, ConnectionLayer},
    run_state::RunState,
};
use crate::record::Recorder;

/// Enough for the target and the origins that redirects lead to.
const SESSIONS: usize = 8;

/// Of a response. The HTTP library takes 100 by default, and some services send more.
const MOST_HEADERS: usize = 1024;

/// What a client does with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// It is the response.
    Keep,
    /// Up to so many in a row are followed. Each one is counted, since the server sees it as a request.
    Follow(usize),
}

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    /// Whether certificates that fail verification are accepted.
    pub(crate) accept_invalid_certs: bool,
    /// Whether compressed responses are requested.
    pub(crate) gzip: bool,
    pub(crate) redirects: Redirects,
    /// The longest time until a connection is made.
    pub(crate) connect_timeout: Duration,
}

/// A client that could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// reqwest refuses the settings.
    #[error("{}", innermost(.0))]
    Client(reqwest::Error),
    /// The system's certificates cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(rustls::Error),
}

/// Returns the innermost cause. The outer ones only say "builder error".
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
    connections: Arc<AllConnections>,
    /// How certificates are verified; set with the first client that needs it.
    verified: Arc<OnceLock<rustls::ClientConfig>>,
}

/// A client and the counts of its connections.
#[derive(Clone, Debug)]
pub(super) struct UserClient {
    pub(super) client: Client,
    pub(super) connections: Arc<ClientConnections>,
}

impl ClientFactory {
    /// Returns a factory for clients of the service at `base`.
    pub(super) fn new(settings: &ClientSettings, base: &Url, shared: &RunState) -> Self {
        Self {
            settings: settings.clone(),
            encrypted: base.scheme() == "https",
            recorder: Arc::clone(&shared.recorder),
            connections: Arc::clone(&shared.connections),
            verified: Arc::default(),
        }
    }

    pub(super) fn build(&self, cookies: bool) -> Result<UserClient, ClientError> {
        let connections = Arc::new(ClientConnections::new(Arc::clone(&self.connections)));
        let mut builder = Client::builder()
            .user_agent(concat!("pinchpoint-loadtest/", env!("CARGO_PKG_VERSION")))
            .cookie_store(cookies)
            // Compressed bodies are decoded where both of their lengths are counted.
            .gzip(false)
            .connect_timeout(self.settings.connect_timeout)
            .redirect(self.redirect_policy(&connections))
            .connector_layer(ConnectionLayer(Arc::clone(&connections)))
            // HTTP_PROXY would put another server into the measurement, and a silent retry would send a request twice.
            .no_proxy()
            .retry(reqwest::retry::never())
            .pool_idle_timeout(None)
            .http1_max_headers(MOST_HEADERS)
            .tcp_nodelay(true);
        builder = if !self.encrypted && self.settings.redirects == Redirects::Keep {
            // Nothing will be encrypted; reading the certificates would take 10 ms a client.
            builder.tls_certs_only([])
        } else if self.encrypted && self.settings.accept_invalid_certs {
            builder.tls_danger_accept_invalid_certs(true)
        } else {
            let mut tls = self.verified()?;
            // Users must not resume each other's TLS sessions: browsers do not.
            tls.resumption = Resumption::in_memory_sessions(SESSIONS);
            builder.tls_backend_preconfigured(tls)
        };
        let client = builder.build().map_err(ClientError::Client)?;
        Ok(UserClient { client, connections })
    }

    /// Returns TLS settings that verify certificates as the system does. Reading the system's certificates takes 10 ms, so
    /// that users share them.
    fn verified(&self) -> Result<rustls::ClientConfig, ClientError> {
        if let Some(known) = self.verified.get() {
            return Ok(known.clone());
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Verifier::new(Arc::clone(&provider)).map_err(ClientError::Tls)?;
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ClientError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.verified.get_or_init(|| config).clone())
    }

    fn redirect_policy(&self, connections: &Arc<ClientConnections>) -> redirect::Policy {
        match self.settings.redirects {
            Redirects::Keep => redirect::Policy::none(),
            Redirects::Follow(most) => {
                let (recorder, connections) = (Arc::clone(&self.recorder), Arc::clone(connections));
                redirect::Policy::custom(move |attempt| {
                    if attempt.previous().len() > most {
                        return attempt.error("too many redirects");
                    }
                    recorder.count_redirect();
                    connections.follow();
                    attempt.follow()
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::engine::{Actor, Model, Stop, fixture::plan};

    #[test]
    fn only_the_first_client_reads_the_systems_certificates() {
        let actor = Actor::from_code("nothing", 1, Box::new(|_| Box::pin(async { Ok(()) })));
        let model = Model::Closed { users: 1, ramp_up: Duration::ZERO, iterations: None };
        let plan = plan("https://127.0.0.1:1", actor, model);
        let factory = ClientFactory::new(&plan.client, &plan.base, &RunState::new(1, Stop::default()));
        factory.build(false).unwrap();
        let began = Instant::now();
        for _ in 0..100 {
            factory.build(false).unwrap();
        }
        // Each one by itself would take 10 ms.
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    }
}
