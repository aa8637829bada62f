//! A kind of user, ready to act: its steps with everything resolved that does not change between requests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::mix::{interleave, starting_point};
use super::user::{Failed, Iteration, Outgoing, User};
use crate::record::{EndpointId, EndpointName, Recorder};
use crate::scenario::{Answer, Body, Capture, DataPer, Flow, Scope, Step, Template};

type Code = dyn for<'u> Fn(&'u mut User) -> Pin<Box<dyn Future<Output = Iteration> + Send + 'u>> + Send + Sync;

/// One kind of user.
#[derive(Clone)]
pub(crate) struct Actor(Arc<Kind>);

struct Kind {
    name: String,
    weight: usize,
    cookies: bool,
    act: Act,
}

enum Act {
    Flow(Box<Flow>),
    Code(Box<Code>),
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor").field("name", &self.0.name).field("weight", &self.0.weight).finish_non_exhaustive()
    }
}

impl Actor {
    /// A kind of user that does the steps of a scenario.
    pub(crate) fn from_flow(flow: Flow) -> Self {
        let (name, weight, cookies) = (flow.name.clone(), flow.weight, flow.cookies);
        Self(Arc::new(Kind { name, weight, cookies, act: Act::Flow(Box::new(flow)) }))
    }

    /// A kind of user that runs Rust code.
    pub(crate) fn from_code(name: &str, weight: usize, code: Box<Code>) -> Self {
        Self(Arc::new(Kind { name: name.to_owned(), weight, cookies: true, act: Act::Code(code) }))
    }

    /// What it is called.
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

    /// What its requests are counted under; `None` where only its code knows.
    pub(crate) fn endpoints(&self) -> Option<Vec<EndpointName>> {
        match &self.0.act {
            Act::Code(_) => None,
            Act::Flow(flow) => {
                let steps = flow.start.iter().chain(flow.body.steps());
                Some(steps.map(|step| EndpointName::new(step.method.as_str(), step.name.clone())).collect())
            }
        }
    }

    /// The actor with its endpoints registered and its addresses resolved.
    pub(super) fn ready(&self, base: &Url, recorder: &Recorder) -> ReadyActor {
        let act = match &self.0.act {
            Act::Code(_) => ReadyAct::Code,
            Act::Flow(flow) => {
                let ready = |step: &Step| ReadyStep::new(step, base, recorder);
                let (steps, order) = match &flow.body {
                    Body::InOrder(steps) => (steps.iter().map(ready).collect(), Order::All),
                    Body::ByWeight(steps) => {
                        let weights: Vec<usize> = steps.iter().map(|(_, weight)| *weight).collect();
                        (steps.iter().map(|(step, _)| ready(step)).collect(), Order::One(interleave(&weights)))
                    }
                };
                ReadyAct::Steps { start: flow.start.iter().map(ready).collect(), steps, order }
            }
        };
        ReadyActor { actor: self.clone(), act }
    }
}

/// An actor that can act.
#[derive(Debug)]
pub(super) struct ReadyActor {
    actor: Actor,
    act: ReadyAct,
}

#[derive(Debug)]
enum ReadyAct {
    Code,
    Steps { start: Vec<ReadyStep>, steps: Vec<ReadyStep>, order: Order },
}

#[derive(Debug)]
enum Order {
    All,
    /// One step an iteration, in this order; each user starts elsewhere in it, or all would do the same at once, and in
    /// a short run none what comes late.
    One(Vec<usize>),
}

impl ReadyActor {
    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What a user does before its first iteration; tried again with the next iteration if it failed.
    async fn start(&self, user: &mut User) -> Result<(), Failed> {
        let (ReadyAct::Steps { start, .. }, Act::Flow(flow)) = (&self.act, &self.actor.0.act) else { return Ok(()) };
        if start.is_empty() {
            return Ok(());
        }
        self.deal(user, DataPer::Iteration);
        self.steps(start.iter(), flow, user).await
    }

    /// One iteration; before a user's first one, what it does at its start.
    pub(super) async fn iterate(&self, user: &mut User) {
        if !user.has_row {
            self.deal(user, DataPer::User);
            user.has_row = true;
        }
        if !user.started {
            user.started = self.start(user).await.is_ok();
            if !user.started {
                user.pause(START_AGAIN).await;
                return;
            }
        }
        user.iteration += 1;
        // What failed is recorded; the next iteration starts anew.
        _ = match (&self.act, &self.actor.0.act) {
            (ReadyAct::Steps { steps, order, .. }, Act::Flow(flow)) => {
                self.deal(user, DataPer::Iteration);
                match order {
                    Order::All => self.steps(steps.iter(), flow, user).await,
                    Order::One(order) => {
                        let start = starting_point(user.number(), order.len());
                        let next = order[(start + user.position) % order.len()];
                        user.position = (user.position + 1) % order.len();
                        self.steps(std::iter::once(&steps[next]), flow, user).await
                    }
                }
            }
            (_, Act::Code(code)) => code(user).await,
            (ReadyAct::Code, Act::Flow(_)) => Ok(()),
        };
    }

    /// Gives the user a row of the data, if that has one for each such occasion.
    fn deal(&self, user: &mut User, occasion: DataPer) {
        if let Act::Flow(flow) = &self.actor.0.act
            && let Some(data) = &flow.data
            && data.per() == occasion
        {
            data.deal(&mut user.values, &mut user.random);
        }
    }

    async fn steps<'s>(
        &self,
        steps: impl Iterator<Item = &'s ReadyStep>,
        flow: &Flow,
        user: &mut User,
    ) -> Result<(), Failed> {
        for step in steps {
            step.send(flow, user).await?;
            let pause = step.pause(flow, user);
            user.pause(pause).await;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct ReadyStep {
    step: Step,
    endpoint: EndpointId,
    /// The address, if it is the same every time.
    url: Option<Url>,
    headers: HeaderMap,
    varying_headers: Vec<(HeaderName, Template)>,
    body: Option<bytes::Bytes>,
}

impl ReadyStep {
    fn new(step: &Step, base: &Url, recorder: &Recorder) -> Self {
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

    async fn send(&self, flow: &Flow, user: &mut User) -> Result<(), Failed> {
        let request = match self.request(flow, user) {
            Ok(request) => request,
            Err(problem) => {
                // Nothing was sent, so nothing is counted; the step before has recorded why a value is missing.
                tracing::debug!(step = self.step.name, problem, scenario = flow.name, "step left out");
                user.pause(LEFT_OUT).await;
                return Err(Failed);
            }
        };
        let outgoing = Outgoing {
            endpoint: self.endpoint,
            request,
            needs_body: self.step.needs_body(),
            timeout: self.step.timeout,
        };
        let captures = &self.step.captures;
        let mut taken: Vec<(usize, String)> = Vec::new();
        let mut random = user.random.clone();
        let expectation = &self.step.expectation;
        user.call(outgoing, |answer: &mut Answer<'_>| {
            expectation.check(answer)?;
            for capture in captures {
                let Capture { slot, .. } = capture;
                taken.push((*slot, capture.take(answer, &mut random)?));
            }
            Ok(())
        })
        .await?;
        user.random = random;
        for (slot, value) in taken {
            user.values.set(slot, value);
        }
        Ok(())
    }

    fn request(&self, flow: &Flow, user: &mut User) -> Result<reqwest::Request, String> {
        let method: Method = self.step.method.clone();
        let url = match &self.url {
            Some(url) => url.clone(),
            None => {
                let path = fill(&self.step.path, flow, user)?;
                user.url(&path).ok_or_else(|| format!("\"{path}\" is no path"))?
            }
        };
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = self.headers.clone();
        for (name, value) in &self.varying_headers {
            let value = fill(value, flow, user)?;
            let value = HeaderValue::from_str(&value).map_err(|_| format!("header {name} cannot be sent"))?;
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

/// A login that fails is tried again, but not in a storm.
const START_AGAIN: Duration = Duration::from_secs(1);
/// A user whose steps all lack a value must not spin.
const LEFT_OUT: Duration = Duration::from_millis(10);

fn fill(template: &Template, flow: &Flow, user: &mut User) -> Result<String, String> {
    let (number, iteration) = (user.number(), user.iteration);
    let mut scope = Scope { values: &user.values, user: number, iteration, random: &mut user.random };
    template.render(&mut scope).map_err(|missing| format!("nothing has set \"{}\" yet", flow.names.name(missing.0)))
}
