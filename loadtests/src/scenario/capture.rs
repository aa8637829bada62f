//! Values taken out of a response, to be used by later steps.

use regex::Regex;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

use super::json_path::JsonPath;
use super::random::Random;

/// A response that is being looked at; its body is read as JSON at most once.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// Status code.
    pub(crate) status: u16,
    /// Headers.
    pub(crate) headers: &'a HeaderMap,
    /// Whole body.
    pub(crate) body: &'a [u8],
    json: Option<Option<Value>>,
}

impl<'a> Answer<'a> {
    /// A response from its parts.
    pub(crate) fn new(status: u16, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { status, headers, body, json: None }
    }

    /// The body as JSON, if it is.
    pub(crate) fn json(&mut self) -> Option<&Value> {
        self.json.get_or_insert_with(|| serde_json::from_slice(self.body).ok()).as_ref()
    }
}

/// Where a value is found.
#[derive(Clone, Debug)]
pub(crate) enum CaptureSource {
    /// In the JSON body.
    Json(JsonPath),
    /// A response header.
    Header(HeaderName),
    /// First group of an expression, or the whole match, in the body.
    Regex(Regex),
}

/// A value to keep and the slot it goes to.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    /// Name of the value.
    pub(crate) name: String,
    /// Its slot in the user's values.
    pub(crate) slot: usize,
    /// Where it is found.
    pub(crate) source: CaptureSource,
}

impl Capture {
    /// The value, or why there is none.
    pub(crate) fn take(&self, answer: &mut Answer<'_>, random: &mut Random) -> Result<String, String> {
        let name = &self.name;
        match &self.source {
            CaptureSource::Json(path) => {
                let document = answer.json().ok_or_else(|| format!("capture {name}: the body is not JSON"))?;
                match path.find(document, random) {
                    Some(Value::String(text)) => Ok(text.clone()),
                    Some(Value::Null) | None => Err(format!("capture {name}: nothing at {path} in the body")),
                    Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                        Ok(value.to_string())
                    }
                }
            }
            CaptureSource::Header(header) => match answer.headers.get(header) {
                Some(value) => Ok(String::from_utf8_lossy(value.as_bytes()).into_owned()),
                None => Err(format!("capture {name}: no header {header}")),
            },
            CaptureSource::Regex(expression) => {
                let body = String::from_utf8_lossy(answer.body);
                let found = expression.captures(&body).and_then(|groups| groups.get(1).or_else(|| groups.get(0)));
                match found {
                    Some(found) => Ok(found.as_str().to_owned()),
                    None => Err(format!("capture {name}: {expression} does not match the body")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(source: CaptureSource, expected: Result<&str, &str>) {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("/orders/7"));
        let mut answer = Answer::new(200, &headers, br#"{"token": "abc", "id": 5, "none": null}"#);
        let capture = Capture { name: "x".to_owned(), slot: 0, source };
        let taken = capture.take(&mut answer, &mut Random::new(1));
        assert_eq!(taken.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn takes_values() {
        check(CaptureSource::Json("token".parse().unwrap()), Ok("abc"));
        check(CaptureSource::Json("id".parse().unwrap()), Ok("5"));
        check(CaptureSource::Json("none".parse().unwrap()), Err("capture x: nothing at none in the body"));
        check(CaptureSource::Header(HeaderName::from_static("location")), Ok("/orders/7"));
        check(CaptureSource::Header(HeaderName::from_static("etag")), Err("capture x: no header etag"));
        check(CaptureSource::Regex(Regex::new(r#""token": "(\w+)""#).unwrap()), Ok("abc"));
        check(CaptureSource::Regex(Regex::new("zzz").unwrap()), Err("capture x: zzz does not match the body"));
    }
}
