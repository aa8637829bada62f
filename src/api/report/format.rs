//! [`Format`]: the formats of the report, and how a client chooses one.

use axum::http::{HeaderMap, header::ACCEPT};

/// A format of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Format {
    Json,
    #[cfg(feature = "report")]
    Html,
    #[cfg(feature = "report")]
    Markdown,
}

impl Format {
    /// The formats, the default first: among equals the client gets the first of them.
    const ALL: &[Self] = &[
        Self::Json,
        #[cfg(feature = "report")]
        Self::Html,
        #[cfg(feature = "report")]
        Self::Markdown,
    ];

    /// What the parameter `format` may be, for messages.
    pub(super) const NAMES: &str = if cfg!(feature = "report") { "json, html or markdown" } else { "json" };

    /// What the `Accept` header may ask for, for messages.
    pub(super) const MEDIA_TYPES: &str =
        if cfg!(feature = "report") { "application/json, text/html or text/markdown" } else { "application/json" };

    /// Reads the parameter `format`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            #[cfg(feature = "report")]
            "html" => Some(Self::Html),
            #[cfg(feature = "report")]
            "markdown" | "md" => Some(Self::Markdown),
            _ => None,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            #[cfg(feature = "report")]
            Self::Html => "text/html; charset=utf-8",
            #[cfg(feature = "report")]
            Self::Markdown => "text/markdown; charset=utf-8",
        }
    }

    /// Returns whether this is the page that browsers prefer.
    pub(in crate::api) fn is_page(self) -> bool {
        self.media_type() == ("text", "html")
    }

    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            #[cfg(feature = "report")]
            Self::Html => ("text", "html"),
            #[cfg(feature = "report")]
            Self::Markdown => ("text", "markdown"),
        }
    }

    /// Returns the format that the `Accept` header prefers: the one with the highest quality, among equals the one named
    /// first. JSON without the header; `None` if the header allows no format.
    pub(in crate::api) fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let values: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let ranges: Vec<Range<'_>> =
            values.iter().flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        let mut best: Option<(f32, usize, Self)> = None;
        for &format in Self::ALL {
            let Some((quality, place)) = format.quality(&ranges) else { continue };
            let is_better = best.is_none_or(|(most, first, _)| quality > most || (quality == most && place < first));
            if quality > 0.0 && is_better {
                best = Some((quality, place, format));
            }
        }
        best.map(|(_, _, format)| format)
    }

    /// Returns the quality of the most specific range that covers this format, and the place of that range.
    fn quality(self, ranges: &[Range<'_>]) -> Option<(f32, usize)> {
        let (kind, subkind) = self.media_type();
        let named = ranges.iter().enumerate().filter_map(|(place, range)| {
            let specific = match (range.kind, range.subkind) {
                (its_kind, its_subkind) if its_kind == kind && its_subkind == subkind => 2,
                (its_kind, "*") if its_kind == kind => 1,
                ("*", "*") => 0,
                _ => return None,
            };
            Some((specific, range.quality, place))
        });
        named.max_by_key(|(specific, ..)| *specific).map(|(_, quality, place)| (quality, place))
    }
}

/// One part of an `Accept` header. RFC 9110, section 12.5.1.
struct Range<'a> {
    kind: &'a str,
    subkind: &'a str,
    quality: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // An unreadable quality is ignored; the range still counts.
        let quality = quality.and_then(|quality| quality.trim().parse().ok()).unwrap_or(1.0_f32);
        Some(Self { kind, subkind, quality: quality.clamp(0.0, 1.0) })
    }
}

#[cfg(all(test, feature = "report"))]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: Option<Format>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).expect(accept));
        assert_eq!(Format::negotiate(&headers), expected, "{accept}");
    }

    #[test]
    fn a_program_gets_json_and_a_browser_the_page() {
        assert_eq!(Format::negotiate(&HeaderMap::new()), Some(Format::Json));
        check("*/*", Some(Format::Json));
        check("", Some(Format::Json));
        check("application/json, text/plain, */*", Some(Format::Json));
        check("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Some(Format::Html));
        check("text/html", Some(Format::Html));
        check("text/*", Some(Format::Html));
        check("text/markdown", Some(Format::Markdown));
    }

    #[test]
    fn the_highest_quality_wins_and_of_equals_the_first() {
        check("application/json;q=0.5, text/html;q=0.9", Some(Format::Html));
        check("text/html, application/json", Some(Format::Html));
        check("application/json, text/html", Some(Format::Json));
        check("text/*;q=0.3, text/markdown ; q=0.7", Some(Format::Markdown));
        check("*/*, application/json;q=0", Some(Format::Html));
        check("text/html;q=nonsense", Some(Format::Html));
    }

    #[test]
    fn other_types_are_not_acceptable() {
        check("application/xml", None);
        check("image/*", None);
        check("application/json;q=0", None);
        check("*/*;q=0", None);
    }
}
