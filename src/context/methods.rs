//! [`KnownMethods`]: the request methods that have a series of their own.
//!
//! The invariant that a change could break: the list is bounded and set once, so that no client can make a series.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    sync::{Arc, LazyLock, Mutex},
};

use http::Method;

use crate::{lock::lock, names};

/// Methods that a list may have.
const MOST: usize = 64;
/// Characters of a method.
const LONGEST: usize = 32;

/// What a list of methods must be.
pub(crate) const EXPECTED: &str = "1 to 64 request methods such as GET, in the case in which clients send them, each of at most 32 letters, digits and -_";

/// The variable of OpenTelemetry's conventions that replaces the list.
const VARIABLE: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";

/// Methods of lists that are not among [`names::METHODS`]. They live as long as the process, since labels and rules keep them;
/// only a configuration can add one.
static CONFIGURED: LazyLock<Mutex<BTreeSet<&'static str>>> = LazyLock::new(Mutex::default);

/// The request methods that have a series of their own; all others share `_OTHER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownMethods {
    names: Arc<[&'static str]>,
    /// Whether the first is GET.
    begins_with_get: bool,
}

impl Default for KnownMethods {
    fn default() -> Self {
        Self::of(names::METHODS.into())
    }
}

impl KnownMethods {
    /// Reads a list, which replaces the default one; `None` where it is not one. An empty entry and a second one of a name count
    /// for nothing.
    pub(crate) fn listed<'a>(methods: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut known = Vec::new();
        for method in methods.into_iter().map(str::trim).filter(|method| !method.is_empty()) {
            let is_method = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if method.len() > LONGEST || !method.bytes().all(is_method) || known.len() == MOST {
                return None;
            }
            let method = lasting(method);
            if !known.contains(&method) {
                known.push(method);
            }
        }
        (!known.is_empty()).then(|| Self::of(known.into()))
    }

    /// Returns the methods that OpenTelemetry's variable lists, or else those of its conventions. As its specification has it, a
    /// variable that cannot be read is no reason not to start. `value` reads a variable.
    pub(crate) fn of_environment(value: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(text) = value(VARIABLE).filter(|text| !text.is_empty()) else { return Self::default() };
        let listed = text.to_str().and_then(|text| Self::listed(text.split(',')));
        listed.unwrap_or_else(|| {
            let (variable, expected) = (VARIABLE, EXPECTED);
            tracing::warn!(variable, found = ?text, expected, "the known request methods are those of the conventions");
            Self::default()
        })
    }

    fn of(names: Arc<[&'static str]>) -> Self {
        Self { begins_with_get: names[0] == Method::GET.as_str(), names }
    }

    /// Returns how many values the label has, with that of all other methods.
    pub(crate) fn count(&self) -> usize {
        self.names.len() + 1
    }

    /// Returns the place of a method; all unknown ones share the last.
    pub(crate) fn place(&self, method: &Method) -> usize {
        // Most requests; compared without their text.
        if self.begins_with_get && *method == Method::GET {
            return 0;
        }
        let method = method.as_str();
        self.names.iter().position(|known| *known == method).unwrap_or(self.names.len())
    }

    /// Returns the label of the method at a place.
    pub(crate) fn name(&self, place: usize) -> &'static str {
        self.names.get(place).copied().unwrap_or(names::METHOD_OTHER)
    }

    /// Returns the label of a method.
    pub(crate) fn label(&self, method: &str) -> &'static str {
        self.names.iter().copied().find(|known| *known == method).unwrap_or(names::METHOD_OTHER)
    }
}

/// Returns every value that the label of a method can have in this process, or with the variable set.
pub(crate) fn method_names() -> Vec<&'static str> {
    let listed = std::env::var(VARIABLE).ok().and_then(|text| KnownMethods::listed(text.split(',')));
    let mut names = names::METHODS.to_vec();
    let configured = lock(&CONFIGURED).iter().copied().collect::<Vec<_>>();
    names.extend(listed.iter().flat_map(|listed| listed.names.iter().copied()).chain(configured));
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names.push(names::METHOD_OTHER);
    names
}

/// Returns a method that lives as long as the process.
#[expect(clippy::disallowed_methods, reason = "of each method once in a process, and only a configuration adds one")]
fn lasting(method: &str) -> &'static str {
    if let Some(standard) = names::METHODS.into_iter().find(|known| *known == method) {
        return standard;
    }
    let mut configured = lock(&CONFIGURED);
    if let Some(known) = configured.get(method) {
        return known;
    }
    let lasting: &'static str = Box::leak(Box::from(method));
    configured.insert(lasting);
    lasting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_methods_share_one_label() {
        let known = KnownMethods::default();
        for unknown in ["BREW", "get", "PROPFIND"] {
            let method = Method::from_bytes(unknown.as_bytes()).expect("a token");
            assert_eq!((known.name(known.place(&method)), known.label(unknown)), ("_OTHER", "_OTHER"));
        }
        for method in ["PATCH", "QUERY"] {
            let parsed = Method::from_bytes(method.as_bytes()).expect("a token");
            assert_eq!((known.name(known.place(&parsed)), known.label(method)), (method, method));
        }
    }

    #[test]
    fn a_list_replaces_the_default() {
        let known = KnownMethods::listed(" GET,PROPFIND ,,GET,x-lock".split(',')).expect("a list");
        assert_eq!(known.count(), 4);
        assert_eq!(
            ["GET", "PROPFIND", "x-lock", "POST", "propfind"].map(|method| known.label(method)),
            ["GET", "PROPFIND", "x-lock", "_OTHER", "_OTHER"]
        );
        assert!(method_names().contains(&"PROPFIND") && method_names().contains(&"POST"));
    }

    /// Returns the labels of six methods where the variable has a value.
    fn of_variable(text: Option<&str>) -> [&'static str; 6] {
        let known = KnownMethods::of_environment(|name| {
            assert_eq!(name, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS");
            text.map(OsString::from)
        });
        ["GET", "get", "POST", "QUERY", "PROPFIND", ""].map(|method| known.label(method))
    }

    #[test]
    fn the_variable_of_opentelemetry_replaces_the_default() {
        const OTHER: &str = names::METHOD_OTHER;
        let default = ["GET", OTHER, "POST", "QUERY", OTHER, OTHER];
        assert_eq!(of_variable(None), default);
        assert_eq!(of_variable(Some("")), default, "a variable that is empty is as one that is not set");
        for text in ["GET,PROPFIND", " GET , PROPFIND ", "GET,,PROPFIND,", "\tPROPFIND,\nGET", "GET,GET,PROPFIND"] {
            assert_eq!(of_variable(Some(text)), ["GET", OTHER, OTHER, OTHER, "PROPFIND", OTHER], "{text}");
        }
        assert_eq!(of_variable(Some("QUERY")), [OTHER, OTHER, OTHER, "QUERY", OTHER, OTHER]);
        // Methods are case-sensitive, as in HTTP. No other spelling of GET here: what a list adds, the rules of all tests accept.
        assert_eq!(of_variable(Some("propfind")), [OTHER; 6]);
    }

    #[test]
    fn a_variable_that_is_no_list_leaves_the_default() {
        let default = of_variable(None);
        for text in [" ", ",", " , ", "GET PROPFIND", "GET;PROPFIND", "GET,PROPF\u{cd}ND", &"A".repeat(33)] {
            assert_eq!(of_variable(Some(text)), default, "{text}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt as _;
            let known = KnownMethods::of_environment(|_| Some(OsString::from_vec(b"PROPFIND,\xff".to_vec())));
            assert_eq!(known, KnownMethods::default(), "it is no text");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let long = "A".repeat(33);
        let many: Vec<String> = (0..65).map(|number| format!("M{number}")).collect();
        for wrong in ["", " , ", "GET POST", "GET;POST", "GÉT", "\"GET\"", &long, &many.join(",")] {
            assert_eq!(KnownMethods::listed(wrong.split(',')), None, "{wrong}");
        }
        assert!(KnownMethods::listed(many[..64].iter().map(|method| &**method)).is_some());
    }
}
