//! [`MonitorLayer`] and [`MonitorService`]: where a request enters the monitor.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Endpoints, MonitorBody, MonitorFuture, Observation,
    grpc::GrpcCall,
    observation::AfterHead,
    route::{Template, method_path},
    series::EndpointSeries,
};
use crate::context::{Local, SampledTrace, Scheme, Spread, TraceId, is_within};

/// W3C Trace Context. A static, because a lookup by text would parse the text each time.
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A tower layer that measures every request of the service it wraps; from
/// [`Monitor::layer`](crate::Monitor::layer).
///
/// Added with axum's `Router::layer` it sees each request's route template, through `nest` and `merge`, and also
/// requests that match no route. It works with any service of `http::Request`; see
/// [`RouteTemplate`](crate::RouteTemplate) for those without axum's router.
///
/// Layers added after it are outside: a timeout there cancels the request, which counts as cancelled. Layers added
/// before it are inside, and their answers count as the service's.
///
/// Two layers of one monitor around a request count it once, unless another monitor's layer lies between them. Two
/// monitors count it each; its queries and tasks count for the inner one.
///
/// The time inside poll is that of the service's futures and bodies. Work that a service does before it returns its
/// future is in the request's duration alone; axum's handlers do none there.
#[derive(Clone)]
pub struct MonitorLayer {
    shared: Arc<Spread<LayerState>>,
}

/// What all services of a layer share.
struct LayerState {
    endpoints: Endpoints,
    /// Keeps the monitor's background tasks running as long as a layer records.
    _monitor: Arc<dyn Any + Send + Sync>,
}

impl MonitorLayer {
    pub(crate) fn new(endpoints: Endpoints, monitor: Arc<dyn Any + Send + Sync>) -> Self {
        Self { shared: Arc::new(Spread::new(LayerState { endpoints, _monitor: monitor })) }
    }
}

impl fmt::Debug for MonitorLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for MonitorLayer {
    type Service = MonitorService<S>;

    fn layer(&self, inner: S) -> MonitorService<S> {
        MonitorService { inner, owner: Owner::Layered(self.shared.clone()) }
    }
}

/// A service whose requests are measured; made by [`MonitorLayer`].
#[derive(Clone)]
pub struct MonitorService<S> {
    inner: S,
    owner: Owner,
}

/// How a service owns [`LayerState`]. axum keeps the service that the layer made and clones it for every request, on any
/// thread. Such a clone counts on its own thread's cache lines; see [`Spread`].
enum Owner {
    Layered(Arc<Spread<LayerState>>),
    Cloned(Local<LayerState>),
}

impl Clone for Owner {
    fn clone(&self) -> Self {
        Self::Cloned(match self {
            Self::Layered(shared) => shared.local(),
            Self::Cloned(local) => local.clone(),
        })
    }
}

impl Owner {
    fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Layered(shared) => &shared.get().endpoints,
            Self::Cloned(local) => &local.endpoints,
        }
    }
}

impl<S> fmt::Debug for MonitorService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorService").finish_non_exhaustive()
    }
}

impl<S> MonitorService<S> {
    fn observe<B: 'static>(&self, request: &mut Request<B>) -> Option<Observation> {
        let endpoints = self.owner.endpoints();
        // Of two layers of one monitor the outer one counts the request.
        if !endpoints.instruments().enabled() || is_within(endpoints.instruments()) {
            return None;
        }
        let limits = endpoints.instruments().limits();
        let method = limits.methods.place(request.method());
        let scheme = Scheme::of(limits.scheme, request.headers(), request.uri());
        let template = Template::of(request.extensions(), endpoints.other_routes());
        let (series, grpc) = match GrpcCall::of(request) {
            None => (endpoints.get(method, template)?, None),
            Some(call) => {
                let (series, call) = self.grpc_endpoint(call, request.uri(), method, template)?;
                (series, Some(Box::new(call)))
            }
        };
        let traceparent = request.headers().get(&TRACEPARENT).map(HeaderValue::as_bytes);
        let trace_id = traceparent.and_then(TraceId::parse);
        let observation = Observation::begin(series, scheme, grpc, trace_id);
        if let Some(trace) = traceparent.and_then(SampledTrace::parse) {
            observation.note_trace(trace);
        }
        observation.count_received(request.body_mut());
        Some(observation)
    }

    /// Returns the endpoint of a gRPC call: that of its method, or that of its route until the path is known to be a method's.
    fn grpc_endpoint(
        &self,
        call: GrpcCall,
        uri: &Uri,
        method: usize,
        template: Template<'_>,
    ) -> Option<(Local<EndpointSeries>, GrpcCall)> {
        let endpoints = self.owner.endpoints();
        let Some(path) = method_path(uri.path()).filter(|path| *path != template.text) else {
            return Some((endpoints.get(method, template)?, call));
        };
        if let Some(known) = endpoints.known(method, path.into()) {
            return Some((known?, call));
        }
        let (owner, uri) = (self.owner.clone(), uri.clone());
        let add = Box::new(move || owner.endpoints().add_grpc_method(method, uri.path()));
        Some((endpoints.get(method, template)?, call.with_new_method(add)))
    }
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for MonitorService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    RequestBody: 'static,
    ResponseBody: Body,
{
    type Response = Response<MonitorBody<ResponseBody>>;
    type Error = S::Error;
    type Future = MonitorFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let Some(mut observation) = self.observe(&mut request) else {
            return MonitorFuture::unobserved(self.inner.call(request));
        };
        let after = match *request.method() {
            Method::HEAD => Some(AfterHead::Nothing),
            // Websockets over HTTP/2 begin with it.
            Method::CONNECT => Some(AfterHead::Detached),
            _ => None,
        };
        let polling = observation.poll();
        let future = self.inner.call(request);
        polling.end();
        MonitorFuture::observed(future, observation, after)
    }
}
