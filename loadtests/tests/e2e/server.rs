//! A server that misbehaves on demand, and counts what reaches it.
//!
//! Written on bare sockets: what it does wrong no HTTP library would do.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::{Notify, Semaphore},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// What reached the server.
#[derive(Debug, Default)]
struct Seen {
    requests: HashMap<String, u64>,
    bodies: Vec<String>,
    heads: Vec<String>,
    connections: Vec<Instant>,
    in_flight: u64,
    peak: u64,
    /// Requests that came while another was in flight.
    crowded: u64,
}

/// The server; it lives as long as the runtime of its thread.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    started: Instant,
    /// What `/narrow` is served by: four at a time.
    narrow: Arc<Semaphore>,
    /// Ends the server.
    death: Arc<Notify>,
}

impl Server {
    /// A server that speaks plain HTTP.
    pub(crate) fn start() -> Self {
        Self::listen(None)
    }

    /// A server whose certificate no authority has signed.
    pub(crate) fn start_tls() -> Self {
        Self::start_tls_as("certificate", &[])
    }

    /// A server with one of the certificates of `certificate/`, and the protocols that it offers.
    pub(crate) fn start_tls_as(certificate: &str, protocols: &[&[u8]]) -> Self {
        let file = format!("{}/tests/e2e/certificate/{certificate}.pem", env!("CARGO_MANIFEST_DIR"));
        let certificate = CertificateDer::from_pem_file(file).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificate/key.pem")).unwrap();
        let mut config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            started: Instant::now(),
            narrow: Arc::new(Semaphore::new(4)),
            death: Arc::default(),
        };
        let serving = server.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut listener = TcpListener::from_std(listener).unwrap();
                loop {
                    tokio::select! {
                        () = serving.accept(&listener, tls.as_ref()) => {}
                        () = serving.death.notified() => {}
                    }
                    drop(listener);
                    if serving.requests("/reviving") == 0 {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(1500)).await;
                    listener = TcpListener::bind(serving.address).await.unwrap();
                }
            });
        });
        server
    }

    /// Serves connections, all of which end with this future.
    async fn accept(&self, listener: &TcpListener, tls: Option<&TlsAcceptor>) {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            self.seen.lock().unwrap().connections.push(Instant::now());
            let (serving, tls) = (self.clone(), tls.cloned());
            connections.spawn(async move {
                match tls {
                    None => {
                        if serving.serve(&mut stream).await == Ending::Reset {
                            stream.set_zero_linger().unwrap();
                        }
                    }
                    Some(tls) => {
                        if let Ok(mut stream) = tls.accept(stream).await {
                            serving.serve(&mut stream).await;
                        }
                    }
                }
            });
        }
    }

    /// Its address with a scheme.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address with the scheme of an encrypted server.
    pub(crate) fn tls_url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// How many requests it has read whose path begins so.
    pub(crate) fn requests(&self, prefix: &str) -> u64 {
        let seen = self.seen.lock().unwrap();
        seen.requests.iter().filter(|(path, _)| path.starts_with(prefix)).map(|(_, count)| count).sum()
    }

    /// Waits until it has read that many of these requests.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: u64, prefix: &str) {
        wait_until(&format!("{count} requests for {prefix}"), || self.requests(prefix) >= count);
    }

    /// Connections that were made to it.
    pub(crate) fn connections(&self) -> u64 {
        self.seen.lock().unwrap().connections.len() as u64
    }

    /// When each of them was seen.
    pub(crate) fn connected_at(&self) -> Vec<Instant> {
        self.seen.lock().unwrap().connections.clone()
    }

    /// Most requests at the same time.
    pub(crate) fn peak(&self) -> u64 {
        self.seen.lock().unwrap().peak
    }

    /// Bodies that were sent to it.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().bodies.clone()
    }

    /// Heads of the requests whose path begins with `/head`.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }

    async fn serve(&self, stream: &mut impl Duplex) -> Ending {
        let mut buffer = Vec::new();
        let mut answered: Option<Instant> = None;
        loop {
            let Some(request) = read_request(stream, &mut buffer).await else {
                if !buffer.is_empty() {
                    // Somebody speaks another protocol; what servers say then is not encrypted.
                    _ = stream.write_all(response("400 Bad Request", "", "").as_bytes()).await;
                }
                return Ending::Closed;
            };
            {
                let mut seen = self.seen.lock().unwrap();
                *seen.requests.entry(request.path.clone()).or_default() += 1;
                if request.path.starts_with("/head") {
                    seen.heads.push(request.head.clone());
                }
                seen.in_flight += 1;
                seen.peak = seen.peak.max(seen.in_flight);
                seen.crowded += u64::from(seen.in_flight > 1);
                if !request.body.is_empty() {
                    seen.bodies.push(request.body.clone());
                }
            }
            // The close that a keep-alive time-out ordered meets the next request on its way.
            let is_idle = answered.is_some_and(|answered| answered.elapsed() > Duration::from_millis(100));
            let ending = if is_idle && request.path.starts_with("/impatient") {
                Ending::Closed
            } else {
                self.answer(&request, stream).await
            };
            answered = Some(Instant::now());
            self.seen.lock().unwrap().in_flight -= 1;
            if ending != Ending::KeptAlive {
                return ending;
            }
        }
    }

    async fn answer(&self, request: &Request, stream: &mut (impl AsyncWrite + Unpin)) -> Ending {
        let path = request.path.split('?').next().unwrap_or_default();
        let ok = |body: &str| response("200 OK", "", body);
        let text = match path {
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                ok("slow")
            }
            "/slower" => {
                tokio::time::sleep(Duration::from_millis(150)).await;
                ok("slower")
            }
            // Dead for the last second of every five, as from a stop-the-world pause.
            "/stall" => {
                let phase = self.started.elapsed().as_secs_f64() % 5.0;
                if phase > 4.0 {
                    tokio::time::sleep(Duration::from_secs_f64(5.0 - phase)).await;
                }
                ok("moving")
            }
            "/slowest" => {
                tokio::time::sleep(Duration::from_millis(450)).await;
                ok("slowest")
            }
            // So slow that what a busy machine adds is little beside it.
            "/narrow" => {
                let _permit = self.narrow.acquire().await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
                ok("narrow")
            }
            // Drops its first eight requests, as behind a proxy that still starts; the others take a second.
            "/waking" => {
                if self.requests("/waking") <= 8 {
                    return Ending::Reset;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                ok("awake")
            }
            // More than one at a time, ten times, is the death of the server, and of all its connections; `/reviving` comes
            // back, once.
            "/mortal" | "/reviving" => {
                let crowded = self.seen.lock().unwrap().crowded;
                if crowded == 10 || crowded > 10 && path == "/mortal" {
                    self.death.notify_one();
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                ok("alive")
            }
            "/hang" => {
                std::future::pending::<()>().await;
                String::new()
            }
            "/late-body" => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return Ending::Closed;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                "late".to_owned()
            }
            "/half-body" => {
                _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
                return Ending::Closed;
            }
            "/reset" => return Ending::Reset,
            // Gone from its first to its third second: every connection ends without a word.
            "/outage" => {
                if (1.0..3.0).contains(&self.started.elapsed().as_secs_f64()) {
                    return Ending::Closed;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                ok("there")
            }
            // Answers nothing from its first second to its fifth.
            "/freezing" => {
                let seconds = self.started.elapsed().as_secs_f64();
                if (1.0..5.0).contains(&seconds) {
                    tokio::time::sleep(Duration::from_secs_f64(5.0 - seconds)).await;
                }
                ok("thawed")
            }
            "/dying" => {
                if self.started.elapsed() > Duration::from_secs(1) {
                    return Ending::Closed;
                }
                ok("still there")
            }
            "/impatient" | "/impatient/get" | "/impatient/put" => ok("patient for 100 ms"),
            // Every second request ends the thread that serves it, after some work.
            "/crashing" => {
                if self.requests("/crashing").is_multiple_of(2) {
                    tokio::time::sleep(Duration::from_millis(400)).await;
                    return Ending::Closed;
                }
                ok("lucky")
            }
            "/error" => response("500 Internal Server Error", "", "{\"error\": \"disk full\"}"),
            "/sometimes" => {
                if self.requests("/sometimes").is_multiple_of(4) {
                    response("503 Service Unavailable", "", "busy")
                } else {
                    ok("")
                }
            }
            // Its last word would still fit where what is before it does not.
            "/long" => ok(&("x".repeat((4 << 20) + 100) + "end")),
            // All but one of twenty are turned away.
            "/limited" => {
                if self.requests("/limited") % 20 == 1 {
                    ok("")
                } else {
                    response("429 Too Many Requests", "", "slow down")
                }
            }
            // The connection ends within the body that explains the error.
            "/broken-error" => {
                _ = stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 99\r\n\r\nhalf").await;
                return Ending::Closed;
            }
            // Well by its status; its content is wrong nineteen of twenty times.
            "/wrong" => {
                let right = self.requests("/wrong") % 20 == 1;
                ok(&format!("{{\"stock\": {right}}}"))
            }
            "/login" => {
                response("200 OK", "set-cookie: session=s1\r\n", "{\"token\": \"t-42\", \"items\": [{\"id\": 7}]}")
            }
            "/secret" => {
                if request.head.contains("authorization: Bearer t-42") && request.head.contains("session=s1") {
                    ok("{\"secret\": true}")
                } else {
                    response("401 Unauthorized", "", "who are you?")
                }
            }
            "/strict" => {
                if request.body == "{\"name\":\"test\"}" {
                    response("201 Created", "", "{}")
                } else {
                    response("422 Unprocessable Entity", "", "missing field `name`")
                }
            }
            "/headers" => response("200 OK", &(0..900).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>(), "ok"),
            "/hostile" => response("500 Internal Server Error", "", HOSTILE_TEXT),
            "/gzip" if request.head.contains("accept-encoding: gzip") => {
                let body = compressed(GZIP_TEXT);
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
                let message = [head.as_bytes(), &body].concat();
                let sent = stream.write_all(&message).await;
                return if sent.is_err() { Ending::Closed } else { Ending::KeptAlive };
            }
            "/gzip" => ok(GZIP_TEXT),
            "/moved" => response("302 Found", "location: /ok\r\n", ""),
            "/ok" | "/head" => ok("ok"),
            path if path.starts_with("/ok/") => ok("ok"),
            _ => response("404 Not Found", "", "no such page"),
        };
        if stream.write_all(text.as_bytes()).await.is_err() { Ending::Closed } else { Ending::KeptAlive }
    }
}

/// What `/hostile` responds with: control sequences, a turned order, HTML and Markdown.
pub(crate) const HOSTILE_TEXT: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}gpj.exe\nPASSED\n<img src=x>|`[click](http://evil) **big** @all";

/// What `/gzip` responds with, before its compression.
pub(crate) const GZIP_TEXT: &str =
    "a text that says the same, says the same, says the same, says the same, says the same";

/// Returns a text as it is on the wire.
pub(crate) fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Waits until something is so, and panics where a minute passes before.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    KeptAlive,
    Closed,
    Reset,
}

/// Both directions of a connection.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

struct Request {
    path: String,
    head: String,
    body: String,
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Request> {
    let mut head_end = None;
    loop {
        if head_end.is_none() {
            head_end = buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        }
        if buffer.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            return None;
        }
        if let Some(end) = head_end {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let lower = head.to_ascii_lowercase();
            let length =
                lower.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            let total = end + length.unwrap_or(0);
            if buffer.len() >= total {
                let body = String::from_utf8_lossy(&buffer[end..total]).into_owned();
                buffer.drain(..total);
                let path = head.split(' ').nth(1)?.to_owned();
                return Some(Request { path, head, body });
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
