//! [`Sender`]: sends one body to one receiver, and reads what comes back.

use std::{
    error::Error,
    fmt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use reqwest::{
    Certificate, Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Secret, command,
    receiver::{Authentication, Endpoint},
};
use crate::{alert::deliver::Reply, lock::lock, rules::Unit};

/// Bytes of an answer that are read: it says in its beginning what is wrong.
pub(super) const BEGINNING: usize = 4_096;
/// How long reading secrets again may take.
const READING: Duration = Duration::from_secs(2);
/// Shorter texts are not hidden in answers: they would hide words.
const SHORTEST_HIDDEN: usize = 4;
/// The same of one part of an address, which is a word more often.
const SHORTEST_PART: usize = 8;
/// Where an Alertmanager takes alerts, below the address of its page.
const ALERTS: &str = "api/v2/alerts";

/// What to do about a certificate that rustls refuses so.
const UNKNOWN_ISSUER: &str = " (no authority that is trusted here has signed for it: ca_file names one of your own)";

/// What came back, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::monitor) struct Answer {
    pub(in crate::monitor) reply: Reply,
    /// The status in words, such as `200 OK`.
    pub(in crate::monitor) status: String,
    /// The beginning of what the receiver said. It is shown to who tests a receiver, and to nobody else.
    pub(in crate::monitor) body: String,
}

/// Sends to one receiver.
pub(in crate::monitor) struct Sender {
    kind: Kind,
    timeout: Duration,
}

enum Kind {
    Http(Box<Http>),
    Command(Vec<String>),
}

/// A receiver that is sent JSON with POST.
struct Http {
    client: Client,
    endpoint: Endpoint,
    is_alertmanager: bool,
    access: Mutex<Arc<Access>>,
}

/// What [`Endpoint`] says, once its secrets are read.
struct Access {
    url: Url,
    authorization: Option<HeaderValue>,
    /// What no answer may show.
    hidden: Vec<String>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Http(http) if http.is_alertmanager => "alertmanager",
            Kind::Http(_) => "webhook",
            Kind::Command(_) => "command",
        };
        f.debug_struct("Sender").field("kind", &kind).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Returns a client of receivers, which trusts the certificate authorities of this file, or else those of the system.
///
/// # Errors
/// Returns why TLS cannot be used, or what is wrong with the file.
pub(super) fn client(ca_file: Option<&Path>) -> Result<Client, String> {
    let agent = concat!("pinchpoint/", env!("CARGO_PKG_VERSION"));
    // A redirect would carry the secrets elsewhere.
    let builder = Client::builder().user_agent(agent).redirect(Policy::none()).connect_timeout(Duration::from_secs(5));
    let Some(path) = ca_file else {
        return builder.build().map_err(|error| format!("no HTTP client can be made: {}", innermost(&error)));
    };
    let place = format!("its ca_file: {}", path.display());
    let text = std::fs::read(path).map_err(|error| format!("{place} cannot be read: {error}"))?;
    let refused = |problem: &str| format!("{place} has no certificates: {problem}; expected some as PEM");
    let authorities = Certificate::from_pem_bundle(&text).map_err(|error| refused(&innermost(&error)))?;
    if authorities.is_empty() {
        return Err(refused("none begins there"));
    }
    // What is no certificate is found now.
    builder.tls_certs_only(authorities).build().map_err(|error| refused(&innermost(&error)))
}

impl Sender {
    pub(super) fn command(command: Vec<String>, timeout: Duration) -> Self {
        Self { kind: Kind::Command(command), timeout }
    }

    /// Returns a sender to an Alertmanager or a webhook, and the host, the port and, of an Alertmanager, the path of it.
    ///
    /// # Errors
    /// Returns everything that is wrong with the address and the secrets, without any of them.
    pub(super) fn http(
        client: Client,
        endpoint: Endpoint,
        is_alertmanager: bool,
        timeout: Duration,
    ) -> Result<(Self, String), Vec<String>> {
        let access = Access::read(&endpoint, is_alertmanager)?;
        let host = access.url.host_str().unwrap_or_default();
        let host = match access.url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        // Several may be behind one proxy. The path of an Alertmanager is where it is served, and no secret.
        let path =
            access.url.path().strip_suffix(&format!("/{ALERTS}")).filter(|_| is_alertmanager).unwrap_or_default();
        let address = format!("{host}{path}");
        let access = Mutex::new(Arc::new(access));
        let kind = Kind::Http(Box::new(Http { client, endpoint, is_alertmanager, access }));
        Ok((Self { kind, timeout }, address))
    }

    /// Sends a body and returns what came back, at the latest after the timeout.
    pub(in crate::monitor) async fn send(&self, body: &Value) -> Answer {
        let body = body.to_string().into_bytes();
        match &self.kind {
            Kind::Command(words) => command::run(words, &body, self.timeout).await,
            Kind::Http(http) => http.send(body, self.timeout).await,
        }
    }
}

impl Http {
    async fn send(&self, body: Vec<u8>, limit: Duration) -> Answer {
        let access = lock(&self.access).clone();
        let request = self.client.post(access.url.clone()).header(CONTENT_TYPE, "application/json").timeout(limit);
        let request = match &access.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        };
        let answer = match request.body(body).send().await {
            Ok(response) => read(response, Timestamp::now()).await,
            Err(error) => unanswered(error, limit),
        };
        let answer = access.hide(answer);
        if answer.status.starts_with("401") || answer.status.starts_with("403") {
            self.read_again().await;
        }
        answer
    }

    /// Reads the secrets again: they may have been replaced since.
    async fn read_again(&self) {
        let Endpoint { url, authentication, .. } = &self.endpoint;
        let may_change = match authentication {
            Authentication::None => false,
            Authentication::Bearer(secret) | Authentication::Basic { password: secret, .. } => secret.may_change(),
        };
        if !may_change && !url.may_change() {
            return;
        }
        let (endpoint, is_alertmanager) = (self.endpoint.clone(), self.is_alertmanager);
        let reading = tokio::task::spawn_blocking(move || Access::read(&endpoint, is_alertmanager));
        if let Ok(Ok(Ok(access))) = timeout(READING, reading).await {
            *lock(&self.access) = Arc::new(access);
        }
    }
}

impl Access {
    /// Reads the address and what lets in there.
    ///
    /// # Errors
    /// Returns everything that is wrong with either.
    fn read(endpoint: &Endpoint, is_alertmanager: bool) -> Result<Self, Vec<String>> {
        let mut hidden = Vec::new();
        let url = address(&endpoint.url, is_alertmanager, &mut hidden);
        let authorization = authorization(&endpoint.authentication, &mut hidden);
        // The whole before its parts.
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        match (url, authorization) {
            (Ok(url), Ok(authorization)) => Ok(Self { url, authorization, hidden }),
            (url, authorization) => Err(url.err().into_iter().chain(authorization.err()).collect()),
        }
    }

    /// Takes the secrets out of an answer that repeats them.
    fn hide(&self, answer: Answer) -> Answer {
        let hide = |text: String| {
            let hidden = self.hidden.iter().filter(|hidden| hidden.len() >= SHORTEST_HIDDEN);
            hidden.fold(text, |text, hidden| text.replace(hidden.as_str(), "***"))
        };
        let reply = match answer.reply {
            Reply::Failed { error, retry_after } => Reply::Failed { error: hide(error), retry_after },
            Reply::Rejected { error } => Reply::Rejected { error: hide(error) },
            Reply::Accepted => Reply::Accepted,
        };
        Answer { reply, status: hide(answer.status), body: hide(answer.body) }
    }
}

/// Reads an address, and adds to `hidden` what no answer may show of it.
fn address(url: &Secret, is_alertmanager: bool, hidden: &mut Vec<String>) -> Result<Url, String> {
    let text = url.read().map_err(|error| format!("its url: {error}"))?;
    // No error may show the address: those of chat services are secrets.
    let expected = "expected an address such as http://127.0.0.1:9093";
    let mut url =
        Url::parse(&text).map_err(|error| format!("its url is not shown, and is none: {error}; {expected}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("its url is not shown, and is not one of http or https; {expected}"));
    }
    hidden.extend(url.password().into_iter().chain(url.query()).map(str::to_owned));
    // An answer may repeat one part of the address alone, as it stands there or decoded.
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    let parts = url.query().into_iter().flat_map(|query| query.split(['&', '='])).map(str::to_owned);
    hidden.extend(values.chain(parts).filter(|part| part.len() >= SHORTEST_PART));
    if is_alertmanager {
        // Its path is where it is served, and no secret.
        let path = format!("{}/{ALERTS}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    } else {
        hidden.extend([text.to_string(), url.path().to_owned()]);
        let segments = url.path_segments().into_iter().flatten().map(str::to_owned);
        hidden.extend(segments.filter(|segment| segment.len() >= SHORTEST_PART));
    }
    Ok(url)
}

/// Reads what lets in, as the header that says it, and adds to `hidden` what no answer may show of it.
fn authorization(authentication: &Authentication, hidden: &mut Vec<String>) -> Result<Option<HeaderValue>, String> {
    let text = match authentication {
        Authentication::None => return Ok(None),
        Authentication::Bearer(token) => {
            let token = token.read().map_err(|error| format!("its token: {error}"))?;
            hidden.push(token.to_string());
            format!("Bearer {token}")
        }
        Authentication::Basic { user, password } => {
            let password = password.read().map_err(|error| format!("its password: {error}"))?;
            let pair = STANDARD.encode(format!("{user}:{password}"));
            hidden.extend([password.to_string(), pair.clone()]);
            format!("Basic {pair}")
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| "its token is no text of a header".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Reads an answer: its status decides.
async fn read(mut response: Response, now: Timestamp) -> Answer {
    let status = response.status();
    let retry_after = retry_after(response.headers(), now);
    let mut body = Vec::new();
    while body.len() < BEGINNING
        && let Ok(Some(part)) = response.chunk().await
    {
        body.extend_from_slice(&part[..part.len().min(BEGINNING - body.len())]);
    }
    let body = String::from_utf8_lossy(&body).trim().to_owned();
    let words = status.to_string();
    let error = format!("it answered {words}");
    let reply = match status {
        status if status.is_success() => Reply::Accepted,
        // A token may be replaced, and the message must not be lost meanwhile.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Reply::Failed { error, retry_after },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Reply::Failed { error, retry_after }
        }
        status if status.is_server_error() => Reply::Failed { error, retry_after },
        status if status.is_redirection() => {
            Reply::Rejected { error: format!("{error}, a redirect, which is not followed") }
        }
        _ => Reply::Rejected { error },
    };
    Answer { reply, status: words, body }
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}

fn unanswered(error: reqwest::Error, limit: Duration) -> Answer {
    let error = error.without_url();
    let words = if error.is_timeout() && !error.is_connect() {
        format!("no answer within {}", Unit::Seconds.render(limit.as_secs_f64()))
    } else if error.is_connect() {
        let cause = innermost(&error);
        let advice = if cause.contains("UnknownIssuer") { UNKNOWN_ISSUER } else { "" };
        format!("cannot connect: {cause}{advice}")
    } else {
        innermost(&error)
    };
    let reply = Reply::Failed { error: words.clone(), retry_after: None };
    Answer { reply, status: words, body: String::new() }
}

/// Returns what the innermost cause says, such as `Connection refused (os error 111)`.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Returns a random number from 0 to 1, for which the keys of the standard library's hashes are random enough.
pub(super) fn jitter() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(Timestamp::now()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, authentication: Authentication) -> Endpoint {
        Endpoint { authentication, ..Secret::value(url).into() }
    }

    #[test]
    fn alerts_go_below_the_address_of_an_alertmanager_whatever_its_prefix() {
        for (url, expected) in [
            ("http://a:9093", "http://a:9093/api/v2/alerts"),
            ("http://a:9093/", "http://a:9093/api/v2/alerts"),
            ("https://a/alerts/main/", "https://a/alerts/main/api/v2/alerts"),
        ] {
            let access = Access::read(&endpoint(url, Authentication::None), true).expect(url);
            assert_eq!(access.url.as_str(), expected);
        }
    }

    #[test]
    fn an_address_is_told_from_others_of_its_host_and_without_secrets() {
        for (url, expected) in [
            ("http://a:9093", "a:9093"),
            ("http://127.0.0.1:9093/", "127.0.0.1:9093"),
            ("https://me:hunter2@a/team-a/?key=hunter2", "a:443/team-a"),
            ("https://a/team-b", "a:443/team-b"),
            ("http://[::1]:9093/x/y", "[::1]:9093/x/y"),
        ] {
            let sender = |is_alertmanager| {
                let client = client(None).expect("TLS");
                Sender::http(client, Secret::value(url).into(), is_alertmanager, Duration::from_secs(1)).expect(url).1
            };
            assert_eq!(sender(true), expected);
            assert!(!sender(false).contains('/'), "the path of a webhook is a secret");
        }
    }

    #[test]
    fn a_file_of_authorities_that_has_none_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ca.pem");
        let error = || client(Some(&path)).expect_err("no authority");
        assert!(error().contains("ca.pem cannot be read: "), "{}", error());
        for text in ["", "dear diary", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).expect("writes");
            let error = error();
            assert!(error.starts_with("its ca_file: ") && error.contains("has no certificates: "), "{error}");
        }
    }

    #[test]
    fn an_error_about_an_address_does_not_show_it() {
        for url in ["hunter2", "ftp://hunter2/x", "http://", "http://[hunter2", "unix:hunter2"] {
            let errors = Access::read(&endpoint(url, Authentication::None), false).err().expect(url);
            let [error] = &errors[..] else { panic!("{errors:?}") };
            assert!(error.starts_with("its url is not shown") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_wrong_address_hides_no_wrong_secret() {
        let missing = || Secret::file("/no/such/secret");
        let basic = Authentication::Basic { user: "me".to_owned(), password: missing() };
        for (authentication, expected) in [(Authentication::Bearer(missing()), "token"), (basic, "password")] {
            for url in [Secret::value("hunter2"), missing()] {
                let endpoint = Endpoint { authentication: authentication.clone(), ..url.into() };
                let errors = Access::read(&endpoint, true).err().expect("two problems");
                let [address, secret] = &errors[..] else { panic!("{errors:?}") };
                assert!(address.starts_with("its url"), "{address}");
                assert!(secret.starts_with(&format!("its {expected}: /no/such/secret cannot be read: ")), "{secret}");
            }
        }
    }

    #[test]
    fn an_answer_that_repeats_a_secret_is_shown_without_it() {
        let password = Secret::value("hunter2-password");
        let authentication = Authentication::Basic { user: "me".to_owned(), password };
        let access = Access::read(&endpoint("https://chat.example/services/T0/hunter2", authentication), false);
        let access = access.expect("good");
        let pair = STANDARD.encode("me:hunter2-password");
        let body = format!("no hook at /services/T0/hunter2 for hunter2-password or {pair}");
        let reply = Reply::Rejected { error: "https://chat.example/services/T0/hunter2".to_owned() };
        let shown = access.hide(Answer { reply, status: "404 Not Found".to_owned(), body });
        assert_eq!(shown.body, "no hook at *** for *** or ***");
        assert_eq!(shown.reply, Reply::Rejected { error: "***".to_owned() });
    }

    #[test]
    fn a_part_of_an_address_is_a_secret_too() {
        let url = "https://chat.example/services/T0/tok-SECRET-123?key=QUERY%20SECRET&b=2";
        let body = "no tok-SECRET-123; key QUERY SECRET, QUERY%20SECRET; b 2".to_owned();
        let shown = |is_alertmanager| {
            let access = Access::read(&endpoint(url, Authentication::None), is_alertmanager).expect("good");
            access.hide(Answer { reply: Reply::Accepted, status: String::new(), body: body.clone() }).body
        };
        assert_eq!(shown(false), "no ***; key ***, ***; b 2");
        assert_eq!(shown(true), "no tok-SECRET-123; key ***, ***; b 2", "its path is where it is served");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_second(784_111_777).expect("a time");
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a header");
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now).map(|time| time.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1994 08:48:37 GMT"), None);
        assert_eq!((read("soon"), read("-1")), (None, None));
    }
}
