//! A kind of user: what it does in an iteration, from a scenario file or from Rust code.
//!
//! [`Actor`] is part of the plan. [`ReadyActor`] is made from it when a run starts: whatever does not change between
//! requests is resolved once, so that sending costs little of the generator's time.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    mix::{interleave, starting_point},
    user::{Iteration, IterationError, OutgoingRequest, UNSENT_WAIT, User},
};
use crate::{
    record::{EndpointId, EndpointName, Recorder},
    scenario::{Capture, Flow, Response, RowLifetime, Scope, Step, Steps, Template},
};

/// All users would try a failing login again at once without a wait.
const START_RETRY_WAIT: Duration = Duration::from_secs(1);

/// A running iteration of a scenario in Rust.
pub(crate) type IterationFuture<'u> = Pin<Box<dyn Future<Output = Iteration> + Send + 'u>>;

/// A scenario in Rust.
pub(crate) type Code = dyn for<'u> Fn(&'u mut User) -> IterationFuture<'u> + Send + Sync;

/// One kind of user; clones share it.
#[derive(Clone)]
pub(crate) struct Actor(Arc<ActorParts>);

struct ActorParts {
    name: String,
    weight: usize,
    cookies: bool,
    behaviour: Behaviour,
}

enum Behaviour {
    Flow(Box<Flow>),
    Code(Box<Code>),
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor").field("name", &self.0.name).field("weight", &self.0.weight).finish_non_exhaustive()
    }
}

impl Actor {
    /// Returns the kind of user that does the steps of a scenario.
    pub(crate) fn from_flow(flow: Flow) -> Self {
        let (name, weight, cookies) = (flow.name.clone(), flow.weight, flow.cookies);
        Self(Arc::new(ActorParts { name, weight, cookies, behaviour: Behaviour::Flow(Box::new(flow)) }))
    }

    /// Returns the kind of user that runs Rust code.
    pub(crate) fn from_code(name: &str, weight: usize, code: Box<Code>) -> Self {
        Self(Arc::new(ActorParts { name: name.to_owned(), weight, cookies: true, behaviour: Behaviour::Code(code) }))
    }

    /// The name of its scenario.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Its share of the users.
    pub(crate) fn weight(&self) -> usize {
        self.0.weight
    }

    /// Whether its users keep cookies.
    pub(crate) fn cookies(&self) -> bool {
        self.0.cookies
    }

    /// Returns the endpoints that its requests are counted under; `None` if its code decides them.
    pub(crate) fn endpoints(&self) -> Option<Vec<EndpointName>> {
        match &self.0.behaviour {
            Behaviour::Code(_) => None,
            Behaviour::Flow(flow) => {
                let steps = flow.start.iter().chain(flow.steps.all());
                Some(steps.map(|step| EndpointName::new(step.method.as_str(), step.name.clone())).collect())
            }
        }
    }

    /// Registers its endpoints and resolves its addresses.
    pub(super) fn ready(&self, base: &Url, recorder: &Recorder) -> ReadyActor {
        let behaviour = match &self.0.behaviour {
            Behaviour::Code(_) => ReadyBehaviour::Code,
            Behaviour::Flow(flow) => {
                let ready = |step: &Step| ReadyStep::new(step, flow, base, recorder);
                let (steps, order) = match &flow.steps {
                    Steps::InOrder(steps) => (steps.iter().map(ready).collect(), StepOrder::All),
                    Steps::ByWeight(steps) => {
                        let weights: Vec<usize> = steps.iter().map(|(_, weight)| *weight).collect();
                        (steps.iter().map(|(step, _)| ready(step)).collect(), StepOrder::One(interleave(&weights)))
                    }
                };
                ReadyBehaviour::Steps { start: flow.start.iter().map(ready).collect(), steps, order }
            }
        };
        ReadyActor { actor: self.clone(), behaviour }
    }
}

/// An actor whose steps are ready to be sent.
#[derive(Debug)]
pub(super) struct ReadyActor {
    actor: Actor,
    behaviour: ReadyBehaviour,
}

#[derive(Debug)]
enum ReadyBehaviour {
    Code,
    Steps { start: Vec<ReadyStep>, steps: Vec<ReadyStep>, order: StepOrder },
}

#[derive(Debug)]
enum StepOrder {
    All,
    /// One step an iteration, in this order. Users start at different places in it: otherwise all would send the same
    /// request at once, and a short run would not reach the last steps.
    One(Vec<usize>),
}

impl ReadyActor {
    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Does what a user does before its first iteration. If it fails, the next iteration tries again.
    async fn start(&self, user: &mut User) -> Result<(), IterationError> {
        let (ReadyBehaviour::Steps { start, .. }, Behaviour::Flow(flow)) = (&self.behaviour, &self.actor.0.behaviour)
        else {
            return Ok(());
        };
        if start.is_empty() {
            return Ok(());
        }
        take_back(flow, user);
        self.steps(start.iter(), flow, user).await
    }

    /// Does one iteration; before a user's first one also what it does at its start.
    pub(super) async fn iterate(&self, user: &mut User) {
        if !user.started {
            user.started = self.start(user).await.is_ok();
            if !user.started {
                user.pause(START_RETRY_WAIT).await;
                return;
            }
        }
        user.iteration += 1;
        // The failure has been recorded; the next iteration begins afresh.
        _ = match (&self.behaviour, &self.actor.0.behaviour) {
            (ReadyBehaviour::Steps { steps, order, .. }, Behaviour::Flow(flow)) => {
                take_back(flow, user);
                match order {
                    StepOrder::All => self.steps(steps.iter(), flow, user).await,
                    StepOrder::One(order) => {
                        let start = starting_point(user.number(), order.len());
                        let next = order[(start + user.position) % order.len()];
                        user.position = (user.position + 1) % order.len();
                        self.steps(std::iter::once(&steps[next]), flow, user).await
                    }
                }
            }
            (_, Behaviour::Code(code)) => code(user).await,
            (ReadyBehaviour::Code, Behaviour::Flow(_)) => Ok(()),
        };
    }

    async fn steps<'s>(
        &self,
        steps: impl Iterator<Item = &'s ReadyStep>,
        flow: &Flow,
        user: &mut User,
    ) -> Result<(), IterationError> {
        for step in steps {
            step.send(flow, user).await?;
            let pause = step.pause(flow, user);
            user.pause(pause).await;
        }
        Ok(())
    }
}

/// Takes back the row of data that a user had for one iteration. Its next one is dealt when a step uses it: a row that no
/// request needs must not be lost to those that do.
fn take_back(flow: &Flow, user: &mut User) {
    if flow.data.as_ref().is_some_and(|data| data.row_lifetime() == RowLifetime::Iteration) {
        user.has_row = false;
    }
}

#[derive(Debug)]
struct ReadyStep {
    step: Step,
    /// Whether it needs a row of the data.
    uses_data: bool,
    endpoint: EndpointId,
    /// The address, if it has no placeholder.
    url: Option<Url>,
    headers: HeaderMap,
    varying_headers: Vec<(HeaderName, Template)>,
    body: Option<bytes::Bytes>,
}

impl ReadyStep {
    fn new(step: &Step, flow: &Flow, base: &Url, recorder: &Recorder) -> Self {
        let name = EndpointName::new(step.method.as_str(), step.name.clone());
        let endpoint = recorder.endpoint(name, &step.route);
        let mut headers = HeaderMap::new();
        let mut varying_headers = Vec::new();
        if let Some(content_type) = step.payload.as_ref().and_then(|payload| payload.content_type) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in &step.headers {
            match value.as_literal().map(HeaderValue::from_str) {
                Some(Ok(value)) => {
                    headers.insert(name.clone(), value);
                }
                _ => {
                    headers.remove(name);
                    varying_headers.push((name.clone(), value.clone()));
                }
            }
        }
        let body = step.payload.as_ref().and_then(|payload| payload.text.as_literal());
        Self {
            endpoint,
            uses_data: flow.data.as_ref().is_some_and(|data| step.uses(data.slots())),
            url: step.path.as_literal().and_then(|path| base.join(path).ok()),
            headers,
            varying_headers,
            body: body.map(|text| bytes::Bytes::copy_from_slice(text.as_bytes())),
            step: step.clone(),
        }
    }

    fn pause(&self, flow: &Flow, user: &mut User) -> Duration {
        self.step.pause.unwrap_or(flow.pause).draw(&mut user.random)
    }

    async fn send(&self, flow: &Flow, user: &mut User) -> Result<(), IterationError> {
        if user.is_over() {
            return Err(IterationError);
        }
        if let Some(data) = &flow.data
            && self.uses_data
            && !user.has_row
        {
            data.deal(&mut user.values, &mut user.random);
            user.has_row = true;
        }
        let request = match self.request(flow, user) {
            Ok(request) => request,
            Err(Unready::MissingValue(name)) => {
                // Nothing was sent, so nothing is counted. An earlier step has recorded why the value is missing.
                tracing::debug!(step = self.step.name, name, scenario = flow.name, "step skipped");
                user.pause(UNSENT_WAIT).await;
                return Err(IterationError);
            }
            Err(Unready::Unsendable(why)) => {
                user.record_unsent(self.endpoint, &why).await;
                return Err(IterationError);
            }
        };
        let outgoing = OutgoingRequest {
            endpoint: self.endpoint,
            request,
            needs_body: self.step.needs_body(),
            timeout: self.step.timeout,
        };
        let captures = &self.step.captures;
        let mut taken: Vec<(usize, String)> = Vec::new();
        let mut random = user.random.clone();
        let expectation = &self.step.expectation;
        let reply = user.call(outgoing, |response: &mut Response<'_>| {
            expectation.check(response, &mut random)?;
            for capture in captures {
                let Capture { slot, .. } = capture;
                taken.push((*slot, capture.take(response, &mut random)?));
            }
            Ok(())
        });
        let reply = reply.await;
        user.random = random;
        reply?;
        for (slot, value) in taken {
            user.values.set(slot, value);
        }
        Ok(())
    }

    fn request(&self, flow: &Flow, user: &mut User) -> Result<reqwest::Request, Unready> {
        let method: Method = self.step.method.clone();
        let url = match &self.url {
            Some(url) => url.clone(),
            None => {
                let path = fill(&self.step.path, flow, user)?;
                user.url(&path).ok_or_else(|| Unready::Unsendable(format!("\"{path}\" is not a path")))?
            }
        };
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = self.headers.clone();
        for (name, value) in &self.varying_headers {
            let value = fill(value, flow, user)?;
            let value = HeaderValue::from_str(&value).map_err(|_| {
                Unready::Unsendable(format!(
                    "header {name} cannot be sent: its value has a line break or another control character"
                ))
            })?;
            request.headers_mut().insert(name.clone(), value);
        }
        *request.body_mut() = match (&self.body, &self.step.payload) {
            (Some(body), _) => Some(body.clone().into()),
            (None, Some(payload)) => Some(fill(&payload.text, flow, user)?.into()),
            (None, None) => None,
        };
        Ok(request)
    }
}

/// Why a step has no request.
enum Unready {
    /// Nothing has set the value of this name yet.
    MissingValue(String),
    /// The values do not make a request that HTTP allows.
    Unsendable(String),
}

fn fill(template: &Template, flow: &Flow, user: &mut User) -> Result<String, Unready> {
    let (number, iteration) = (user.number(), user.iteration);
    let mut scope = Scope { values: &user.values, user: number, iteration, random: &mut user.random };
    template.render(&mut scope).map_err(|missing| Unready::MissingValue(flow.names.name(missing.0).to_owned()))
}
