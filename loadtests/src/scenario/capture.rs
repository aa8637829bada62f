//! Values that a step takes out of its response for later steps.

use regex::Regex;
use reqwest::header::HeaderName;
use serde_json::Value;

use super::{json_path::JsonPath, random::Random, response::Response};

/// Where a value is found.
#[derive(Clone, Debug)]
pub(crate) enum CaptureSource {
    /// At a path in the JSON body.
    Json(JsonPath),
    /// In a response header.
    Header(HeaderName),
    /// The first group of an expression in the body, or the whole match if it has no group.
    Regex(Regex),
}

/// A value to keep.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    /// Its name.
    pub(crate) name: String,
    /// Its slot in the user's [`Values`](super::Values).
    pub(crate) slot: usize,
    /// Where it is found.
    pub(crate) source: CaptureSource,
}

impl Capture {
    /// Returns the value.
    ///
    /// # Errors
    /// Says why there is none. The text becomes a kind of failure in the report.
    pub(crate) fn take(&self, response: &mut Response<'_>, random: &mut Random) -> Result<String, String> {
        let name = &self.name;
        match &self.source {
            CaptureSource::Json(path) => {
                let document = response.json().ok_or_else(|| format!("capture {name}: the body is not JSON"))?;
                match path.find(document, random) {
                    Some(Value::String(text)) => Ok(text.clone()),
                    Some(Value::Null) | None => Err(format!("capture {name}: nothing at {path} in the body")),
                    Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                        Ok(value.to_string())
                    }
                }
            }
            CaptureSource::Header(header) => match response.headers.get(header) {
                Some(value) => Ok(String::from_utf8_lossy(value.as_bytes()).into_owned()),
                None => Err(format!("capture {name}: no header {header}")),
            },
            CaptureSource::Regex(expression) => {
                let body = String::from_utf8_lossy(response.body);
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
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(source: CaptureSource, expected: Result<&str, &str>) {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("/orders/7"));
        let mut response = Response::new(200, &headers, br#"{"token": "abc", "id": 5, "none": null}"#);
        let capture = Capture { name: "x".to_owned(), slot: 0, source };
        let taken = capture.take(&mut response, &mut Random::new(1));
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
