//! `/performance/openapi.json`, generated from the handlers, and completed with what only the running service knows: its rules,
//! its windows and who may read and control it.

use std::{fmt::Write as _, time::Duration};

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::{
    CoreState, access::Area, acknowledge, bottlenecks, control, endpoints, events, exposition, health, memory,
    negotiation::CONTENT_TYPES, report, rules, slos, status, summary, trends,
};
use crate::monitor::{Access, Control, Core};

/// Name of the security scheme of the control endpoints, whose token reads too.
const TOKEN: &str = "token";
/// Names of the security schemes of reading.
const READING: [&str; 2] = ["reading", "reading_as_password"];

#[derive(OpenApi)]
#[openapi(
    info(title = "Pinchpoint", description = "The bottlenecks of this service, and why they are there."),
    paths(
        document,
        exposition::metrics,
        summary::metrics,
        memory::memory,
        endpoints::all,
        endpoints::one,
        bottlenecks::bottlenecks,
        trends::trends,
        report::handler::report,
        health::health,
        status::status,
        rules::rules,
        slos::slos,
        events::events,
        control::start,
        control::stop,
        control::clear,
        acknowledge::acknowledge,
        acknowledge::take_back
    ),
    components(schemas(events::BottleneckEvent, events::EvaluationEvent, events::GapEvent, super::error::ErrorBody))
)]
struct Description;

/// `/performance`, which the feature `page` makes a page.
#[cfg(not(feature = "page"))]
#[derive(OpenApi)]
#[openapi(paths(report::handler::index))]
struct PageDescription;

#[cfg(feature = "page")]
#[derive(OpenApi)]
#[openapi(paths(
    super::page::handler::index,
    super::page::handler::view,
    super::page::assets::style,
    super::page::assets::script,
    super::login::handler::leave,
    super::login::handler::login,
    super::login::handler::logout
))]
struct PageDescription;

/// The paths that the feature `archive` adds.
#[cfg(feature = "archive")]
#[derive(OpenApi)]
#[openapi(paths(super::comparison::comparison))]
struct ArchiveDescription;

/// This OpenAPI document.
#[utoipa::path(
    get, path = "/performance/openapi.json", tag = "control",
    responses((status = 200, content_type = "application/json", body = Object))
)]
pub(super) async fn document(State(core): CoreState) -> Json<Value> {
    let description = Description::openapi().merge_from(PageDescription::openapi());
    #[cfg(feature = "archive")]
    let description = description.merge_from(ArchiveDescription::openapi());
    let mut document = serde_json::to_value(description).expect("a document is plain data");
    for (path, operation) in operations(&mut document) {
        // What logs a browser in needs no credentials.
        if operation["tags"][0] != "access" {
            secure(operation, area(path), &core);
        }
        complete(operation, area(path), &core);
    }
    let schemes = schemes(&core);
    if !schemes.is_empty() {
        document["components"]["securitySchemes"] = schemes.into();
    }
    link_endpoints(&mut document);
    describe_formats(&mut document);
    Json(document)
}

fn operations(document: &mut Value) -> impl Iterator<Item = (&str, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, operations)| {
        let operations = operations.as_object_mut().into_iter().flatten();
        operations.map(move |(_, operation)| (path.as_str(), operation))
    })
}

fn area(path: &str) -> Area {
    if path.starts_with("/performance") { Area::Performance } else { Area::Metrics }
}

/// Returns the security schemes that an operation may name.
fn schemes(core: &Core) -> Map<String, Value> {
    let bearer = json!({ "type": "http", "scheme": "bearer" });
    let basic =
        json!({ "type": "http", "scheme": "basic", "description": "The token as the password, with any user name" });
    let guards = [Area::Metrics, Area::Performance].map(|area| matches!(area.access(core), Access::Token(_)));
    let of_reading = READING.into_iter().zip([bearer.clone(), basic]).filter(|_| guards.contains(&true));
    let of_control = matches!(core.control(), Control::Token(_)).then_some((TOKEN, bearer));
    of_control.into_iter().chain(of_reading).map(|(name, scheme)| (name.to_owned(), scheme)).collect()
}

/// Says which credentials an operation needs. The control endpoints are those that name the scheme of their token.
fn secure(operation: &mut Value, area: Area, core: &Core) {
    let is_control = operation["security"].is_array();
    let has_control_token = matches!(core.control(), Control::Token(_));
    let needs_reading = matches!(area.access(core), Access::Token(_))
        && (!is_control || matches!(core.control(), Control::Open | Control::Loopback));
    if needs_reading {
        let names = READING.into_iter().chain(has_control_token.then_some(TOKEN));
        operation["security"] = names.map(|name| json!({ name: [] })).collect();
        operation["responses"]["401"] = json!({
            "description": "The token is missing or wrong",
            "headers": { "www-authenticate": { "schema": { "type": "string" } } },
            "content": refusal_to_read(area),
        });
    } else if !has_control_token {
        operation.as_object_mut().and_then(|operation| operation.remove("security"));
    }
}

/// Returns the content of the answer to a client without the token; a browser gets the form to log in.
fn refusal_to_read(area: Area) -> Value {
    let mut content = error();
    if cfg!(feature = "page") && area == Area::Performance {
        content["text/html"] = json!({ "schema": { "type": "string" } });
    }
    content
}

/// Returns the content of every answer that is not 200.
fn error() -> Value {
    json!({ "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } } })
}

/// Adds what every operation has: the answers to a wrong method and, but for `/metrics`, which takes any, to a wrong parameter,
/// and a description of each answer.
fn complete(operation: &mut Value, area: Area, core: &Core) {
    let responses = &mut operation["responses"];
    // Which hosts are refused depends on the address that the routes are served on, which may be any.
    let wrong = (area == Area::Performance).then_some(("400", "A parameter is unknown or wrong"));
    let why = match area.access(core) {
        Access::Loopback => "The client is not on this machine, or the host is another site's",
        Access::Open | Access::Token(_) => "The host of the request is another site's",
    };
    let refused = responses["403"].is_null().then_some(("403", why));
    for (status, description) in [("405", "Not the method of this path")].into_iter().chain(wrong).chain(refused) {
        let response = &mut responses[status];
        if response.is_null() {
            *response = json!({ "content": error() });
        }
        response["description"] = description.into();
    }
    responses["405"]["headers"] = json!({ "allow": { "schema": { "type": "string" } } });
    for (status, response) in responses.as_object_mut().into_iter().flatten() {
        let description = &mut response["description"];
        if description.as_str().is_none_or(str::is_empty) {
            *description = match &**status {
                "200" => "The answer",
                "403" => refusal(core.control()),
                "307" => "The place of the answer",
                "404" => "Nothing of this name was measured",
                "406" => "No format that the client accepts",
                _ => "An error",
            }
            .into();
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let pattern = match parameter["name"].as_str() {
            Some("window") => window_pattern(core.interval(), core.longest_window()),
            Some("type") => list_pattern(core.rules_state().set.ids()),
            _ => continue,
        };
        parameter["schema"]["pattern"] = pattern.into();
    }
}

/// Returns why a control endpoint refuses a request.
fn refusal(control: &Control) -> &'static str {
    match control {
        Control::Refused => "The service keeps this closed",
        Control::Token(_) => "The token is missing or wrong",
        Control::Open => "A browser sent it for another site",
        Control::Loopback => "A browser sent it for another site, or the host is not this machine",
    }
}

/// Says that the names of `/performance/endpoints` are the ones that `/performance/endpoints/{endpoint}` takes.
fn link_endpoints(document: &mut Value) {
    let one = document["paths"]["/performance/endpoints/{endpoint}"]["get"]["operationId"].clone();
    let link = json!({ "operationId": one, "parameters": { "endpoint": "$response.body#/endpoints/0/endpoint" } });
    document["paths"]["/performance/endpoints"]["get"]["responses"]["200"]["links"] = json!({ "endpoint": link });
}

/// Says in which formats `/metrics` answers, and that it compresses them.
fn describe_formats(document: &mut Value) {
    let content = |content_type: &str| {
        let is_text = !content_type.starts_with("application/vnd.google.protobuf");
        let schema =
            if is_text { json!({ "type": "string" }) } else { json!({ "type": "string", "format": "binary" }) };
        (content_type.to_owned(), json!({ "schema": schema }))
    };
    let text = json!({ "schema": { "type": "string" } });
    let answer = &mut document["paths"]["/metrics"]["get"]["responses"]["200"];
    answer["description"] = "The metrics, in the format that `Accept` prefers; without it as text".into();
    answer["content"] = CONTENT_TYPES.into_iter().map(content).collect::<Map<_, _>>().into();
    answer["headers"] = json!({
        "content-encoding": {
            "description": "Where `Accept-Encoding` allows it",
            "schema": { "type": "string", "enum": ["gzip"] },
        },
        "vary": text,
    });
}

/// Returns a pattern for the lengths of a window that are allowed, in whole seconds, minutes and hours. Fractions are read
/// too.
fn window_pattern(shortest: Duration, longest: Duration) -> String {
    let unit = |(unit, seconds): (char, u64)| {
        let (from, to) = (shortest.as_secs_f64() / seconds as f64, longest.as_secs() / seconds);
        let numbers = whole_numbers(from.ceil() as u64, to);
        (!numbers.is_empty()).then(|| format!("({numbers}){unit}"))
    };
    let units: Vec<_> = [('s', 1), ('m', 60), ('h', 3600)].into_iter().filter_map(unit).collect();
    format!("^({})$", units.join("|"))
}

/// Returns a pattern for the whole numbers between two, both included; empty where there is none.
fn whole_numbers(mut from: u64, to: u64) -> String {
    let mut pattern = String::new();
    while from <= to {
        // All numbers that begin as `from` does, but for one digit and the `free` ones after it, which may be any.
        let free = (0..).take_while(|free| {
            let step = 10_u64.pow(free + 1);
            from.is_multiple_of(step) && from > 0 && from + step - 1 <= to
        });
        let free = free.count() as u32;
        let step = 10_u64.pow(free);
        let digit = from / step % 10;
        let last = (digit..=9).take_while(|last| from + (last - digit + 1) * step - 1 <= to).last().unwrap_or(digit);
        let before = from / step / 10;
        let separator = if pattern.is_empty() { "" } else { "|" };
        let before = if before == 0 { String::new() } else { before.to_string() };
        let _ = write!(pattern, "{separator}{before}[{digit}-{last}]");
        if free > 0 {
            let _ = write!(pattern, "[0-9]{{{free}}}");
        }
        from += (last - digit + 1) * step;
    }
    pattern
}

/// Returns a pattern for one or several of these names, with commas. The ids of rules have no sign of a pattern.
fn list_pattern<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = names.collect::<Vec<_>>().join("|");
    format!("^({names})(,({names}))*$")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let schema = json!({ "type": "string", "pattern": pattern });
        jsonschema::validator_for(&schema).expect("a schema").is_valid(&json!(text))
    }

    #[test]
    fn a_pattern_of_numbers_has_exactly_those() {
        for (from, to) in [(1, 1), (5, 300), (0, 9), (10, 10), (19, 101), (99, 1000), (1, 24), (7, 7219)] {
            let pattern = format!("^({})$", whole_numbers(from, to));
            for number in 0..=to + 20 {
                let expected = (from..=to).contains(&number);
                assert_eq!(matches(&pattern, &number.to_string()), expected, "{from}..={to}: {number} {pattern}");
            }
        }
        assert_eq!(whole_numbers(5, 4), "");
    }

    #[test]
    fn a_pattern_of_windows_has_what_the_parameter_takes() {
        let pattern = window_pattern(Duration::from_secs(5), Duration::from_secs(300));
        for good in ["5s", "30s", "300s", "1m", "5m"] {
            assert!(matches(&pattern, good), "{good}");
        }
        for wrong in ["", "4s", "301s", "6m", "0m", "1h", "5", "05s", "5s "] {
            assert!(!matches(&pattern, wrong), "{wrong}");
        }
        assert!(matches(&window_pattern(Duration::from_millis(20), Duration::from_secs(7200)), "2h"));
    }

    #[test]
    fn a_list_has_commas_between_its_names() {
        let pattern = list_pattern(["slow_query", "slow_task"].into_iter());
        assert!(matches(&pattern, "slow_task,slow_query") && !matches(&pattern, "slow") && !matches(&pattern, ""));
    }
}
