//! Asks the service for its own side of a run, from before the load until after it.

use reqwest::header::HeaderMap;

use crate::{
    cli::{ServerOptions, ServiceAddress},
    engine::LoadPlan,
    record::Tally,
    result::RunResult,
    server::{ClientOptions, Credentials, DEFAULT_TIMEOUT, ServerClient, ServerSide, ServerWatch, ServiceError, join},
};

/// A client for `/metrics` and `/performance`, and the watch that it runs while the load is sent.
///
/// Both are absent with `--no-server`, and the watch is absent for a service that reports nothing: a load test needs
/// neither.
#[derive(Debug)]
pub(super) struct ServerObserver {
    client: Option<ServerClient>,
    watch: Option<ServerWatch>,
}

impl ServerObserver {
    /// Builds the client; sends nothing yet.
    pub(super) fn new(options: &ServerOptions, plan: &LoadPlan) -> Self {
        if options.no_server {
            return Self { client: None, watch: None };
        }
        let address = options.monitor_url.as_ref();
        let base = address.map_or(&plan.base, ServiceAddress::url);
        // A token for the service must not reach another origin.
        let is_same_origin = base.origin() == plan.base.origin();
        let mut headers = if is_same_origin { plan.headers.clone() } else { HeaderMap::new() };
        if let Some(address) = address {
            address.authorize(&mut headers);
        }
        if let Some(token) = &options.monitor_token {
            token.authorize(&mut headers);
        }
        let is_withheld = !is_same_origin && headers.is_empty();
        let credentials = if is_withheld { Credentials::Withheld } else { Credentials::Headers(headers) };
        let accept_invalid_certs = plan.client.accept_invalid_certs;
        let client =
            ServerClient::new(base, ClientOptions { credentials, timeout: DEFAULT_TIMEOUT, accept_invalid_certs });
        Self { client, watch: None }
    }

    /// Returns the client, for a capacity search, which takes its own snapshots between steps.
    pub(super) fn client(&self) -> Option<&ServerClient> {
        self.client.as_ref()
    }

    /// Takes the first snapshot and starts to watch.
    pub(super) async fn start(&mut self) {
        if let Some(client) = &self.client {
            self.watch = ServerWatch::start(client.clone()).await;
        }
    }

    /// Returns a line for the progress.
    pub(super) fn line(&self) -> Option<String> {
        self.watch.as_ref().map(ServerWatch::line)
    }

    /// Ends the watch and returns what the service saw beside what users saw.
    pub(super) async fn finish(&mut self, tally: &Tally) -> Option<ServerSide> {
        Some(join(tally, self.watch.take()?.finish().await))
    }

    /// Notes in a result how many requests the observer itself sent, and whether the service refused them.
    pub(super) fn describe_itself(&self, result: &mut RunResult) {
        let Some(client) = &self.client else { return };
        result.server_requests = client.request_count();
        // A service without a monitor is no news; one that wants credentials is.
        result.server_refused = client
            .take_error()
            .filter(|error| matches!(error, ServiceError::Refused { .. }))
            .map(|error| error.to_string());
    }
}
