//! Makes a [`LoadPlan`] from the arguments of a command line, checked as a whole.
//!
//! Nothing is sent and nothing is started here. An error of this file means that nothing was tested.

use std::time::Duration;

use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap},
};
use thiserror::Error;

use crate::{
    cli::{
        EndpointSpec, Header, LoadTestArgs, PayloadError, RequestOptions, ServiceAddress, TargetOptions, read_payload,
    },
    engine::{Actor, ClientSettings, LoadPlan, Model, Redirects, Seed},
    record::EndpointName,
    scenario::{
        Flow, Names, Pause, Payload, ScenarioFileError, Step, Steps, Syntax, Template, TemplateError, load_scenarios,
        shop, unsendable,
    },
    span::show_seconds,
    verdict::Threshold,
};

/// More than a healthy service has in flight at most rates, and fewer than a machine's ports.
const DEFAULT_IN_FLIGHT: usize = 1000;
const DEFAULT_USERS: usize = 10;
const DEFAULT_DURATION: Duration = Duration::from_secs(30);
/// Of a step of a capacity search.
const DEFAULT_STEP: Duration = Duration::from_secs(10);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// A day. A tiny `--increase-rate` would otherwise overflow a `Duration`.
const LONGEST_RAMP: f64 = 86_400.0;

/// Arguments that do not make a plan.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum PlanError {
    /// There are both endpoints and scenarios.
    #[error("--endpoints and --scenario exclude each other; put the endpoints into the scenario file")]
    EndpointsAndScenarios,
    /// A scenario file is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioFileError),
    /// Two scenarios have one name.
    #[error("two scenarios are called \"{0}\"; names must differ")]
    SameName(String),
    /// `--scenarios` names a scenario that does not exist.
    #[error("no scenario is called \"{wanted}\"; there are {known}")]
    NoSuchScenario {
        /// The name.
        wanted: String,
        /// The scenarios that exist.
        known: String,
    },
    /// The payload is wrong.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A placeholder is wrong.
    #[error("{what} cannot be filled in")]
    Template {
        /// The option or path that holds it.
        what: String,
        /// The cause.
        source: TemplateError,
    },
    /// No request would send the payload.
    #[error("--payload is given, but {0} sends no body; name a method, such as --method POST")]
    PayloadUnused(String),
    /// There are both a payload and scenarios.
    #[error("--payload belongs to --endpoints; a scenario file has its own bodies")]
    PayloadWithScenario,
    /// A threshold is about an endpoint that is not tested.
    #[error("--threshold \"{threshold}\": no tested endpoint is called \"{wanted}\"; there are {known}")]
    NoSuchEndpoint {
        /// The condition.
        threshold: String,
        /// Its endpoint.
        wanted: String,
        /// The endpoints that are tested.
        known: String,
    },
    /// A threshold is about a schedule that there is none of.
    #[error("--threshold \"{0}\" needs --rate: only then are iterations due at fixed times, so that one can be late")]
    NoSchedule(String),
    /// The warm-up is as long as the load.
    #[error("--warm-up {warm_up} is a part of the load, which lasts {length}; nothing would be measured")]
    NothingMeasured {
        /// The warm-up.
        warm_up: String,
        /// The ramp-up and the duration.
        length: String,
    },
    /// A path that cannot be sent, or would be sent as another one.
    #[error("{0}")]
    Unsendable(String),
    /// Credentials are given twice.
    #[error("--base-url has a user, and --header an authorization; give one of them")]
    CredentialsTwice,
    /// A profile names no endpoint or scenario, or several.
    #[error("a profile measures one endpoint or one scenario; name it with --endpoints, or --scenario and --scenarios")]
    ProfileNeedsOne,
}

/// Returns the kinds of users: those of `--endpoints`, else those of `code` and of scenario files, else the demo shop's.
pub(crate) fn actors(
    target: &TargetOptions,
    requests: &RequestOptions,
    code: &[Actor],
) -> Result<Vec<Actor>, PlanError> {
    let mut actors: Vec<Actor> = code.to_vec();
    if !target.endpoints.is_empty() {
        if !target.scenario_files.is_empty() {
            return Err(PlanError::EndpointsAndScenarios);
        }
        return Ok(vec![Actor::from_flow(endpoints_flow(&target.endpoints, requests)?)]);
    }
    if requests.payload.is_some() {
        return Err(PlanError::PayloadWithScenario);
    }
    for file in &target.scenario_files {
        actors.extend(load_scenarios(file)?.into_iter().map(Actor::from_flow));
    }
    if actors.is_empty() {
        actors = shop().into_iter().map(Actor::from_flow).collect();
    }
    for (index, actor) in actors.iter().enumerate() {
        if actors[..index].iter().any(|earlier| earlier.name() == actor.name()) {
            return Err(PlanError::SameName(actor.name().to_owned()));
        }
    }
    for wanted in &target.scenarios {
        if !actors.iter().any(|actor| actor.name() == wanted) {
            let known: Vec<&str> = actors.iter().map(Actor::name).collect();
            return Err(PlanError::NoSuchScenario { wanted: wanted.clone(), known: known.join(", ") });
        }
    }
    if !target.scenarios.is_empty() {
        actors.retain(|actor| target.scenarios.iter().any(|wanted| wanted == actor.name()));
    }
    Ok(actors)
}

/// Returns the plan of a load test.
pub(crate) fn load_plan(arguments: &LoadTestArgs, code: &[Actor]) -> Result<LoadPlan, PlanError> {
    let LoadTestArgs { target, requests, load, capacity, .. } = arguments;
    // A search starts low, since it doubles from there.
    let default_users = if capacity.find_capacity { 1 } else { DEFAULT_USERS };
    let users = load.concurrent_users.unwrap_or(default_users);
    let ramp_up = match load.increase_rate {
        Some(rate) => Duration::from_secs_f64((users as f64 / rate).min(LONGEST_RAMP)),
        None => load.ramp_up,
    };
    let model = match load.rate {
        Some(rate) => Model::Open {
            rate: rate.per_second(),
            ramp_up,
            most_in_flight: load.max_in_flight.or(load.concurrent_users).unwrap_or(DEFAULT_IN_FLIGHT),
        },
        None => Model::Closed { users, ramp_up, iterations: load.iterations },
    };
    let duration = match (load.duration, load.iterations) {
        (Some(duration), _) => Some(duration),
        (None, _) if capacity.find_capacity => Some(DEFAULT_STEP),
        (None, Some(_)) => None,
        (None, None) => Some(DEFAULT_DURATION),
    };
    let plan = LoadPlan {
        actors: actors(target, requests, code)?,
        model,
        duration,
        warm_up: load.warm_up,
        grace: load.grace,
        ..base_plan(target, requests)?
    };
    match plan.length() {
        Some(length) if plan.measured_from() >= length => {
            let [warm_up, length] = [plan.warm_up, length].map(|time| show_seconds(time.as_secs_f64()));
            Err(PlanError::NothingMeasured { warm_up, length })
        }
        Some(_) | None => Ok(plan),
    }
}

/// Returns the endpoints that the requests of a plan will be counted under, each once; `None` if code decides them.
pub(crate) fn known_endpoints(actors: &[Actor]) -> Option<Vec<EndpointName>> {
    let mut known: Vec<EndpointName> = Vec::new();
    for actor in actors {
        for name in actor.endpoints()? {
            if !known.contains(&name) {
                known.push(name);
            }
        }
    }
    Some(known)
}

/// Checks that each threshold is about something that the plan has: a schedule, and an endpoint as far as those are known
/// before the run.
pub(crate) fn check_thresholds(thresholds: &[Threshold], plan: &LoadPlan) -> Result<(), PlanError> {
    if let Model::Closed { .. } = plan.model
        && let Some(threshold) = thresholds.iter().find(|threshold| threshold.metric.needs_rate())
    {
        return Err(PlanError::NoSchedule(threshold.to_string()));
    }
    let Some(known) = known_endpoints(&plan.actors) else { return Ok(()) };
    for threshold in thresholds {
        if let Some(wanted) = &threshold.endpoint
            && !known.iter().any(|name| threshold.is_about(name))
        {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            return Err(PlanError::NoSuchEndpoint {
                threshold: threshold.to_string(),
                wanted: wanted.clone(),
                known: known.join(", "),
            });
        }
    }
    Ok(())
}

/// Returns the plan of a profile: one endpoint or scenario, one user, no duration.
pub(crate) fn profile_plan(
    target: &TargetOptions,
    requests: &RequestOptions,
    code: &[Actor],
) -> Result<LoadPlan, PlanError> {
    if target.endpoints.len() > 1
        || (target.endpoints.is_empty() && target.scenario_files.is_empty() && code.is_empty())
    {
        return Err(PlanError::ProfileNeedsOne);
    }
    let actors = actors(target, requests, code)?;
    if actors.len() != 1 {
        return Err(PlanError::ProfileNeedsOne);
    }
    Ok(LoadPlan { actors, ..base_plan(target, requests)? })
}

fn base_plan(target: &TargetOptions, requests: &RequestOptions) -> Result<LoadPlan, PlanError> {
    let timeout = requests.timeout.unwrap_or(DEFAULT_TIMEOUT);
    Ok(LoadPlan {
        actors: Vec::new(),
        base: target.base_url.url().clone(),
        model: Model::Closed { users: 1, ramp_up: Duration::ZERO, iterations: None },
        duration: None,
        warm_up: Duration::ZERO,
        grace: DEFAULT_GRACE,
        client: ClientSettings {
            accept_invalid_certs: requests.accept_invalid_certs,
            gzip: !requests.no_gzip,
            redirects: requests.follow_redirects.map_or(Redirects::Keep, Redirects::Follow),
            connect_timeout: timeout,
        },
        headers: authorized(&target.base_url, &requests.headers)?,
        timeout,
        seed: requests.seed.map_or_else(Seed::draw, Seed::new),
    })
}

/// Returns the headers of `--header`, with the credentials of the address that they are sent to.
pub(crate) fn authorized(address: &ServiceAddress, given: &[Header]) -> Result<HeaderMap, PlanError> {
    let mut headers = header_map(given);
    if address.has_credentials() && headers.contains_key(AUTHORIZATION) {
        return Err(PlanError::CredentialsTwice);
    }
    address.authorize(&mut headers);
    Ok(headers)
}

/// Returns the headers of `--header`. A name may occur more than once.
fn header_map(given: &[Header]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for header in given {
        headers.append(header.name.clone(), header.value.clone());
    }
    headers
}

/// Returns the scenario of `--endpoints`: one of them an iteration, by weight.
fn endpoints_flow(endpoints: &[EndpointSpec], requests: &RequestOptions) -> Result<Flow, PlanError> {
    let names = Names::default();
    let payload = match &requests.payload {
        Some(argument) => {
            let headers = header_map(&requests.headers);
            let (text, content_type) = read_payload(argument, &headers)?;
            let syntax = Syntax::of_body(content_type.or_else(|| headers.get(CONTENT_TYPE)?.to_str().ok()), &text);
            let text = Template::parse(&text, &names, syntax)
                .map_err(|source| PlanError::Template { what: "--payload".to_owned(), source })?;
            Some(Payload { text, content_type })
        }
        None => None,
    };
    let default = requests.method.clone().unwrap_or(if payload.is_some() { Method::POST } else { Method::GET });
    let mut sends_body = false;
    let mut steps = Vec::new();
    for endpoint in endpoints {
        let method = endpoint.method.clone().unwrap_or_else(|| default.clone());
        let path = Template::parse(&endpoint.path, &names, Syntax::Path)
            .map_err(|source| PlanError::Template { what: endpoint.path.clone(), source })?;
        if let Some(problem) = unsendable(&endpoint.path, path.literals()) {
            return Err(PlanError::Unsendable(problem));
        }
        let mut step = Step::new(method.clone(), &endpoint.path, path);
        if !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS) {
            step.payload.clone_from(&payload);
            sends_body = true;
        }
        steps.push((step, endpoint.weight));
    }
    if payload.is_some() && !sends_body {
        return Err(PlanError::PayloadUnused(format!("{default} {}", endpoints[0].path)));
    }
    Ok(Flow {
        name: "endpoints".to_owned(),
        weight: 1,
        start: Vec::new(),
        steps: Steps::ByWeight(steps),
        pause: Pause::NONE,
        cookies: false,
        data: None,
        names,
    })
}
