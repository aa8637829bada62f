//! [`Place`]: where a browser wanted to go when it was asked to log in.
//!
//! Written relative to `/performance/`, so that it holds wherever the routes are nested. The invariant that a change could break:
//! no place is on another site, or outside of the routes.

use std::fmt;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

const ROOT: &str = "/performance";
/// The path of the form itself, which nobody wants to go to.
const LOGIN: &str = "login";
/// Longer than the path of any view.
const LONGEST: usize = 2_000;
/// Levels below `/performance/` that a page may be at.
const DEEPEST: usize = 16;

/// A path below `/performance/` with its query, such as `report?format=html`; of the page itself it is empty, or only a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(String);

impl Place {
    /// Returns the place that a request asks for; the page itself where it cannot be one.
    pub(super) fn of(uri: &Uri) -> Self {
        let asked = uri.path_and_query().map_or("", |asked| asked.as_str()).strip_prefix(ROOT).unwrap_or_default();
        Self::parse(asked.strip_prefix('/').unwrap_or(asked))
    }

    /// Reads what a form sent; the page itself where that is no place.
    pub(super) fn parse(text: &str) -> Self {
        let (path, _) = text.split_once('?').unwrap_or((text, ""));
        let goes_up = path.split('/').any(|part| {
            let part = percent_decode_str(part).collect::<Vec<u8>>();
            part == b"." || part == b".."
        });
        // Only what a URI may have, and no fragment: browsers take a backslash for a slash, and skip spaces and line breaks.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/?".contains(&byte));
        let is_place = is_plain && !goes_up && text.len() <= LONGEST && path != LOGIN;
        Self(if is_place { text.to_owned() } else { String::new() })
    }

    /// Returns the address of the place as seen from `/performance/login`. A `./` before it keeps `//host` and `scheme:` from
    /// leading to another site.
    pub(super) fn location(&self) -> String {
        match self.0.as_str() {
            query if query.is_empty() || query.starts_with('?') => format!("..{ROOT}{query}"),
            path => format!("./{path}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a page leads to what is below `/performance/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// From `/performance`.
    Above,
    /// From below `/performance/`, so many levels deep.
    Below(usize),
}

impl Base {
    /// Returns how the page at an address does; `None` where no page is.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let below = uri.path().strip_prefix(ROOT)?;
        match below.matches('/').count() {
            0 => Some(Self::Above),
            slashes => (slashes <= DEEPEST).then_some(Self::Below(slashes - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, place: &str, location: &str) {
        let found = Place::of(&uri.parse().expect("a URI"));
        assert_eq!((found.to_string().as_str(), found.location().as_str()), (place, location), "{uri}");
        assert_eq!(Place::parse(place), found, "the form sends it back");
    }

    #[test]
    fn a_place_is_relative_to_the_form() {
        check("/performance", "", "../performance");
        check("/performance/", "", "../performance");
        check("/performance?window=5m", "?window=5m", "../performance?window=5m");
        check("/performance/report?format=html", "report?format=html", "./report?format=html");
        check(
            "/performance/view/endpoints/GET%20%2Fa%2F..%2Fb",
            "view/endpoints/GET%20%2Fa%2F..%2Fb",
            "./view/endpoints/GET%20%2Fa%2F..%2Fb",
        );
        check("/performance/login", "", "../performance");
        check("/performance/login?a=1", "", "../performance");
        check("/performance//other.example/", "/other.example/", ".//other.example/");
        check("/", "", "../performance");
    }

    #[test]
    fn no_place_is_on_another_site_or_outside() {
        for text in [
            "..",
            "../",
            "../admin",
            "a/../../b",
            "a/%2e%2e/b",
            "%2E.",
            ".",
            "./x",
            "/../x",
            "\\\\other.example",
            "/\\other.example",
            "a\\..\\b",
            "a b",
            "a\nb",
            "\t//other.example",
            "a#b",
            "ä",
            "\"><script>",
            "login",
            "login?next=x",
        ] {
            assert_eq!(Place::parse(text), Place::default(), "{text}");
        }
        assert_eq!(Place::parse(&"a".repeat(LONGEST + 1)), Place::default());
        let site = "http://127.0.0.1:9000/internal/performance/";
        for text in
            ["//other.example", "https://other.example/", "javascript:alert(1)", "/other", "?//other.example", "a//b"]
        {
            let location = Place::parse(text).location();
            let is_relative = location.starts_with("./") || location.starts_with("../performance");
            assert!(is_relative && !location[2..].contains("/../"), "{text}: {site}{location}");
        }
    }

    #[test]
    fn a_page_knows_how_deep_it_is() {
        for (path, expected) in [
            ("/performance", Some(Base::Above)),
            ("/performance/", Some(Base::Below(0))),
            ("/performance/login", Some(Base::Below(0))),
            ("/performance/view/endpoints/x", Some(Base::Below(2))),
            ("/metrics", None),
        ] {
            assert_eq!(Base::of(&path.parse().expect("a URI")), expected, "{path}");
        }
        let deep = format!("/performance{}", "/".repeat(30_000));
        assert_eq!(Base::of(&deep.parse().expect("a URI")), None);
    }
}
