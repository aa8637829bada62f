//! [`Negotiated`]: in which format `/metrics` answers, from the request's `Accept` and `Accept-Encoding`.
//!
//! By the quality values, as HTTP has it, and never by refusing: a client that asks for nothing that is known here gets the text
//! format. The invariant that a change could break: a wildcard gets the text
//! format, since a client that names no format may not know exemplars.

use http::{
    HeaderMap,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName},
};

use crate::store::Format;

/// The answer's format and how its bytes are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub(super) format: Format,
    /// The media type with its parameters.
    pub(super) content_type: &'static str,
    pub(super) gzip: bool,
}

impl Negotiated {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (format, content_type) = media_type(headers);
        Self { format, content_type, gzip: accepts_gzip(headers) }
    }
}

/// A media type that `/metrics` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Text,
    OpenMetrics(Version),
    Protobuf,
}

/// The version of OpenMetrics that a client asks for. What is written is the same: 0.0.1 is the draft of 1.0.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Draft,
    One,
}

/// How names that are not in ASCII's letters are escaped. Every name of the page is valid without that, so all of these are the
/// same page; the answer repeats what was asked for, as the client libraries do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escaping {
    /// Prometheus 2 knows none.
    NotAsked,
    AllowUtf8,
    Underscores,
    Values,
}

impl Escaping {
    fn of(range: &Range) -> Self {
        match range.parameter("escaping") {
            None => Self::NotAsked,
            Some("allow-utf-8") => Self::AllowUtf8,
            Some("values") => Self::Values,
            // `dots` would write two underscores for each one.
            Some(_) => Self::Underscores,
        }
    }
}

/// Returns the media type that the client likes best, of those that it names; the first one of several that it likes the same.
fn media_type(headers: &HeaderMap) -> (Format, &'static str) {
    let mut best: Option<(f32, Offer, Escaping)> = None;
    for range in ranges(headers, &ACCEPT) {
        let Some((offer, is_named)) = Offer::of(&range) else { continue };
        // A wildcard is the text format, but says less than a name does.
        let is_better = best.is_none_or(|(quality, ..)| range.quality > quality);
        let quality = if is_named { range.quality } else { range.quality.next_down() };
        if range.quality > 0.0 && is_better {
            best = Some((quality, offer, Escaping::of(&range)));
        }
    }
    best.map_or((Format::Text, TEXT[0]), |(_, offer, escaping)| offer.content_type(escaping))
}

/// The content types of the three formats, for clients that ask for no way of escaping.
#[cfg(feature = "openapi")]
pub(super) const CONTENT_TYPES: [&str; 3] = [TEXT[0], OPENMETRICS[0], PROTOBUF[0]];

/// The content types by [`Escaping`], in its order.
const TEXT: [&str; 4] = [
    "text/plain; version=0.0.4; charset=utf-8",
    "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
    "text/plain; version=0.0.4; charset=utf-8; escaping=values",
];
const OPENMETRICS: [&str; 4] = [
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values",
];
const OPENMETRICS_DRAFT: [&str; 4] = [
    "application/openmetrics-text; version=0.0.1; charset=utf-8",
    "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=allow-utf-8",
    "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores",
    "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=values",
];
const PROTOBUF: [&str; 4] = [
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8",
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores",
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=values",
];

impl Offer {
    /// Returns what a media range stands for, and whether it is named rather than a wildcard.
    fn of(range: &Range) -> Option<(Self, bool)> {
        let version = range.parameter("version");
        match &*range.value {
            "*/*" | "text/*" => Some((Self::Text, false)),
            "text/plain" => matches!(version, None | Some("0.0.4")).then_some((Self::Text, true)),
            "application/openmetrics-text" => match version {
                None | Some("1.0.0") => Some((Self::OpenMetrics(Version::One), true)),
                Some("0.0.1") => Some((Self::OpenMetrics(Version::Draft), true)),
                Some(_) => None,
            },
            "application/vnd.google.protobuf" => {
                let is_known = range.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && range.parameter("encoding") == Some("delimited");
                is_known.then_some((Self::Protobuf, true))
            }
            _ => None,
        }
    }

    fn content_type(self, escaping: Escaping) -> (Format, &'static str) {
        match self {
            Self::Text => (Format::Text, TEXT[escaping as usize]),
            Self::OpenMetrics(Version::One) => (Format::OpenMetrics, OPENMETRICS[escaping as usize]),
            Self::OpenMetrics(Version::Draft) => (Format::OpenMetrics, OPENMETRICS_DRAFT[escaping as usize]),
            Self::Protobuf => (Format::Protobuf, PROTOBUF[escaping as usize]),
        }
    }
}

/// Returns whether the answer may be compressed, and the client does not like it better as it is.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity) = (0.0_f32, 0.0_f32);
    for range in ranges(headers, &ACCEPT_ENCODING) {
        match &*range.value {
            "gzip" | "x-gzip" => gzip = gzip.max(range.quality),
            "identity" => identity = range.quality,
            // A wildcard allows gzip, and does not ask for it.
            _ => {}
        }
    }
    gzip > 0.0 && gzip >= identity
}

/// One entry of a header that lists what a client accepts.
#[derive(Debug)]
struct Range {
    /// In lower case.
    value: String,
    parameters: Vec<(String, String)>,
    /// 0, which refuses, to 1.
    quality: f32,
}

impl Range {
    fn parse(entry: &str) -> Self {
        let mut parts = split(entry, ';').map(str::trim);
        let value = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut parameters, mut quality) = (Vec::new(), 1.0);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
            if name == "q" {
                // One that is no number counts as none, as with Prometheus's libraries.
                quality =
                    value.parse().ok().filter(|quality: &f32| !quality.is_nan()).map_or(1.0, |q| q.clamp(0.0, 1.0));
            } else {
                parameters.push((name, value.to_owned()));
            }
        }
        Self { value, parameters, quality }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(its_name, _)| its_name == name).map(|(_, value)| &**value)
    }
}

/// Returns the entries of all headers of a name. What is not ASCII is left out.
fn ranges<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Range> + use<'a> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| split(value, ',')).map(Range::parse)
}

/// Splits a text at a separator outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |letter| {
        is_quoted ^= letter == '"';
        letter == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn negotiated(name: HeaderName, value: &str) -> Negotiated {
        Negotiated::of(&HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a header"))]))
    }

    #[track_caller]
    fn check(accept: &str, content_type: &str) {
        assert_eq!(negotiated(ACCEPT, accept).content_type, content_type, "{accept}");
    }

    #[test]
    fn without_a_known_format_it_is_the_text_format() {
        assert_eq!(Negotiated::of(&HeaderMap::new()).content_type, TEXT[0]);
        for accept in [
            "",
            "*/*",
            "*/*;q=0.1",
            "text/*",
            "application/*",
            "application/json",
            "text/plain",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            "text/plain;version=1.0.0",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.5,*/*",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "application/vnd.google.protobuf;proto=other.Message;encoding=delimited",
        ] {
            check(accept, TEXT[0]);
        }
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        for accept in
            [",", ";;,;=", "q=1", "/", "\"", "text/plain;q", "text/plain;version=\"0.0.4", "a;b=c;q=x,,;q=0.1"]
        {
            check(accept, TEXT[0]);
        }
        check("nonsense, application/openmetrics-text; version=1.0.0; q=high", OPENMETRICS[0]);
        let bytes = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_bytes(b"\xff\xfe").expect("a header"))]);
        assert_eq!(Negotiated::of(&bytes).content_type, TEXT[0]);
    }

    #[test]
    fn quality_decides_and_then_the_order() {
        check("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.6", OPENMETRICS[0]);
        check("text/plain;q=0.6, application/openmetrics-text;version=1.0.0;q=0.5", TEXT[0]);
        check("text/plain, application/openmetrics-text", TEXT[0]);
        check("application/openmetrics-text, text/plain", OPENMETRICS[0]);
        check("*/*, application/openmetrics-text", OPENMETRICS[0]);
        check("APPLICATION/OpenMetrics-Text; Version=1.0.0 ; Q=1.0", OPENMETRICS[0]);
        check("application/openmetrics-text; version=\"1.0.0\"", OPENMETRICS[0]);
        let mut two = HeaderMap::new();
        two.append(ACCEPT, HeaderValue::from_static("text/plain;q=0.1"));
        two.append(ACCEPT, HeaderValue::from_static("application/openmetrics-text"));
        assert_eq!(Negotiated::of(&two).content_type, OPENMETRICS[0]);
    }

    /// The headers that Prometheus itself sends, by its version.
    #[test]
    fn prometheus_gets_what_it_likes_best() {
        // 2.5 to 2.33.
        check(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPENMETRICS_DRAFT[0],
        );
        // 2.34 to 2.48.
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPENMETRICS[0],
        );
        // 2.49 to 2.55.
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OPENMETRICS[0],
        );
        // 3.
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OPENMETRICS[1],
        );
        // 2.40 to 2.48 with the feature `native-histograms`, and 3 with `scrape_native_histograms`.
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
             application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            PROTOBUF[0],
        );
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
             escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            PROTOBUF[1],
        );
        // 3, with `scrape_protocols: [PrometheusText0.0.4]`, and with `metric_name_escaping_scheme`.
        check("text/plain;version=0.0.4;q=0.6,*/*;q=0.5", TEXT[0]);
        check("application/openmetrics-text;version=1.0.0;escaping=dots;q=0.6,*/*;q=0.5", OPENMETRICS[2]);
        check("application/openmetrics-text;version=1.0.0;escaping=values;q=0.6,*/*;q=0.5", OPENMETRICS[3]);
    }

    #[test]
    fn gzip_is_used_where_it_is_asked_for_and_not_refused() {
        #[track_caller]
        fn check(encoding: &str, gzip: bool) {
            assert_eq!(negotiated(ACCEPT_ENCODING, encoding).gzip, gzip, "{encoding}");
        }
        check("gzip", true);
        check("deflate, gzip;q=1.0, *;q=0.5", true);
        check("gzip;q=0.001", true);
        check("x-gzip", true);
        check("GZIP", true);
        check("gzip;q=0", false);
        check("gzip; q=0.000", false);
        check("identity, gzip;q=0.5", false);
        check("*;q=0, gzip", true);
        check("*", false);
        check("identity", false);
        check("br, zstd", false);
        check("", false);
        assert!(!Negotiated::of(&HeaderMap::new()).gzip);
    }
}
