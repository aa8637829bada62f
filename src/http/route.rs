//! [`RouteTemplate`]: the endpoint of a request, which is its method and route template and never its path.

use std::{fmt, sync::Arc};

use axum::extract::MatchedPath;
use http::Extensions;

use crate::names;

/// Route template of a request for services that are not axum's, as a request extension.
///
/// If axum's router has matched a route, its `MatchedPath` is used instead. Another router inserts this before the
/// monitor's layer sees the request. Without either, requests count in one series with an empty route.
///
/// ```
/// use pinchpoint::RouteTemplate;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(RouteTemplate::new("/users/{id}"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTemplate(Arc<str>);

impl RouteTemplate {
    /// Takes a template, such as `/users/{id}`. It becomes a label: never pass a raw path.
    #[must_use]
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self(template.into())
    }
}

/// Finds the route template in the extensions of a request.
type FindRoute = dyn for<'a> Fn(&'a Extensions) -> Option<&'a str> + Send + Sync;

/// Takes the route template that another router left in a request's extensions; see
/// [`MonitorBuilder::route_from`](crate::MonitorBuilder::route_from).
#[derive(Clone)]
pub(crate) struct RouteFrom(Arc<FindRoute>);

impl RouteFrom {
    pub(crate) fn new(find: impl for<'a> Fn(&'a Extensions) -> Option<&'a str> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl fmt::Debug for RouteFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteFrom").finish_non_exhaustive()
    }
}

/// The route template of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template<'a> {
    pub(super) text: &'a str,
    /// What owns the text, if axum's router has matched the route. The text of a route that is not nested is the same
    /// allocation in every request.
    matched: Option<&'a MatchedPath>,
}

impl<'a> Template<'a> {
    /// Returns the template of a request; empty if no route matched.
    pub(super) fn of(extensions: &'a Extensions, other: Option<&RouteFrom>) -> Self {
        if let Some(matched) = extensions.get::<MatchedPath>() {
            return Self { text: matched.as_str(), matched: Some(matched) };
        }
        let own = extensions.get().map(|RouteTemplate(template)| &**template);
        own.or_else(|| other.and_then(|RouteFrom(find)| find(extensions))).unwrap_or_default().into()
    }
}

impl<'a> From<&'a str> for Template<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, matched: None }
    }
}

/// The text of an endpoint's route.
#[derive(Debug)]
pub(super) enum RouteText {
    Matched(MatchedPath),
    Own(Box<str>),
}

impl RouteText {
    /// Returns `text`, shared with `template` if they are the same.
    pub(super) fn new(text: &str, template: Template<'_>) -> Self {
        match template.matched {
            Some(matched) if text == template.text => Self::Matched(matched.clone()),
            _ => Self::Own(text.into()),
        }
    }

    /// Returns whether it is the route of a template. Mostly they are one allocation, which then need not be read.
    pub(super) fn is(&self, template: Template<'_>) -> bool {
        let text = match self {
            Self::Matched(matched) => matched.as_str(),
            Self::Own(text) => text,
        };
        std::ptr::eq(text, template.text) || text == template.text
    }
}

/// Returns the path if it may be that of a gRPC method, `/package.Service/Method`.
pub(super) fn method_path(path: &str) -> Option<&str> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    (path.len() <= names::LONGEST && is_name(service) && is_name(method)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_two_names_may_be_a_grpc_method() {
        for good in ["/grpc.health.v1.Health/Check", "/Shop/buy_2"] {
            assert_eq!(method_path(good), Some(good));
        }
        let long = format!("/a.B/{}", "c".repeat(names::LONGEST));
        for bad in ["", "/", "/a.B", "/a.B/", "//C", "/a.B/C/D", "/a.B/%43", "/{a}/B", "/a.B/C D", &long] {
            assert_eq!(method_path(bad), None, "{bad}");
        }
    }
}
