//! What a failed TLS handshake says to people.

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error, pki_types::UnixTime};

/// Describes why no encrypted connection was made; `None` if the cause is another one.
pub(super) fn explain_tls(error: &reqwest::Error) -> Option<String> {
    find(std::error::Error::source(error)?).map(describe)
}

/// Finds the error of the TLS library, which its users wrap in I/O errors: what these hold is not what they call their source.
fn find<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(held) => find(held),
        None => find(error.source()?),
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => describe_certificate(problem),
        Error::InvalidMessage(_) => "the server answers without TLS".to_owned(),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server offers no HTTP/1.1 over TLS; it may speak HTTP/2 only, which this tool does not".to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a certificate of the client, which this tool does not have".to_owned()
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion) => {
            "the server accepts none of the versions (TLS 1.2 and 1.3) and ciphers that this tool offers".to_owned()
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the server has no certificate for this host name".to_owned()
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn describe_certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server's certificate has expired{}", on(*not_after))
        }
        CertificateError::NotValidYet => "the server's certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the server's certificate is not valid yet; it will be{}", on(*not_before))
        }
        CertificateError::UnknownIssuer => {
            "no authority that this machine knows has signed the server's certificate".to_owned()
        }
        CertificateError::NotValidForName => "the server's certificate is for another host name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| name_of(name)).collect();
            let names = if names.is_empty() { "no host".to_owned() } else { names.join(", ") };
            format!("the server's certificate is for {names} and not for {}", expected.to_str())
        }
        CertificateError::Revoked => "the server's certificate has been revoked".to_owned(),
        // rustls has no case of its own for it.
        CertificateError::Other(cause) if cause.to_string().contains("CaUsedAsEndEntity") => {
            "the server's certificate is one of an authority, made by itself".to_owned()
        }
        other => format!("the server's certificate is not accepted: {other}"),
    }
}

/// Returns the name in rustls's form of it, such as `DnsName("shop.example")`.
fn name_of(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

/// Returns ` on 2026-01-02`.
fn on(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| format!(" on {}", time.strftime("%Y-%m-%d")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    #[track_caller]
    fn check(error: CertificateError, expected: &str) {
        assert_eq!(describe(&Error::InvalidCertificate(error)), expected);
    }

    #[test]
    fn certificates_are_described_in_sentences() {
        let at = |days: u64| UnixTime::since_unix_epoch(Duration::from_secs(days * 86_400));
        let expired = CertificateError::ExpiredContext { time: at(20_000), not_after: at(19_000) };
        check(expired, "the server's certificate has expired on 2022-01-08");
        let early = CertificateError::NotValidYetContext { time: at(19_000), not_before: at(20_000) };
        check(early, "the server's certificate is not valid yet; it will be on 2024-10-04");
        let unknown = "no authority that this machine knows has signed the server's certificate";
        check(CertificateError::UnknownIssuer, unknown);
        let expected = ServerName::try_from("shop.example").unwrap();
        let presented = vec!["DnsName(\"other.example\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()];
        check(
            CertificateError::NotValidForNameContext { expected, presented },
            "the server's certificate is for other.example, 127.0.0.1 and not for shop.example",
        );
    }
}
