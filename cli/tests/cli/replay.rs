//! `pinchpoint rules replay` and `pinchpoint rules suggest`, on real histories.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

use super::{ended, pinchpoint};

const TODAY: &str = "\
rules:
  - id: slow_shop
    scope: endpoint
    measure: avg_duration
    window: 5m
    min_samples: 5
    for: 2m
    keep_firing_for: 1m
    thresholds: { high: \"> 1s\", critical: \"> 5s\" }
    description: \"{subject} is slow\"
";

/// Stops a server when its test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Returns whether Prometheus and its promtool are there; in CI they must be.
fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "{program} is missing");
    if !there {
        eprintln!("skipped: {program} is missing (Debian package prometheus)");
    }
    there
}

/// Two hours of a shop in OpenMetrics, a sample every 30 s: ten requests each, of 100 ms, and of 2 s from minute 30 to 60.
fn past(begin: u64) -> String {
    let mut text = String::new();
    let labels = "job=\"shop\",instance=\"shop-1:8000\",http_request_method=\"GET\",http_route=\"/orders\"";
    for part in ["count", "sum"] {
        let mut total = 0.0;
        for sample in 0..240_u64 {
            let seconds = if (60..120).contains(&sample) { 2.0 } else { 0.1 };
            total += if part == "count" { 10.0 } else { 10.0 * seconds };
            let at = begin + sample * 30;
            writeln!(text, "http_server_request_duration_seconds_{part}{{{labels}}} {total} {at}").unwrap();
        }
    }
    text + "# EOF\n"
}

/// Starts a Prometheus that has scraped a past.
fn prometheus(directory: &Path, begin: u64) -> (Server, String) {
    let (metrics, data) = (directory.join("past.om"), directory.join("data"));
    std::fs::write(&metrics, past(begin)).unwrap();
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&metrics, &data])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let configuration = directory.join("prometheus.yml");
    std::fs::write(&configuration, "global: {}\n").unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Command::new("prometheus")
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(server);
    let until = Instant::now() + Duration::from_secs(120);
    let is_ready = || {
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        stream.write_all(format!("GET /-/ready HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.contains(" 200 ").then_some(())
    };
    while is_ready().is_none() {
        assert!(Instant::now() < until, "Prometheus does not get ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    (server, format!("http://{address}"))
}

#[test]
fn rules_are_replayed_over_what_a_real_prometheus_stored() {
    if !is_there("promtool") || !is_there("prometheus") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let begin = (now - 3 * 3600) / 60 * 60;
    let (_server, url) = prometheus(directory.path(), begin);
    let (today, tried) = (directory.path().join("today.yaml"), directory.path().join("tried.yaml"));
    std::fs::write(&today, TODAY).unwrap();
    std::fs::write(&tried, TODAY.replace("> 1s", "> 1500ms").replace("min_samples: 5", "min_samples: 50")).unwrap();
    let (today, tried) = (today.to_str().unwrap(), tried.to_str().unwrap());
    let arguments = ["rules", "replay", "--prometheus", &url, "--today", today, "--last", "4h"];
    let with = |more: &[&str]| ended(&arguments.iter().chain(more).copied().collect::<Vec<_>>(), 0).0;
    let json: Value = serde_json::from_str(&with(&["--rules", tried, "--to", "json"])).unwrap();
    let minutes = |time: &Value| {
        let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
        (time.as_second() - i64::try_from(begin).unwrap()) as f64 / 60.0
    };
    for (under, limit, from, to) in
        [("today", "> 1s", 32.0..36.5, 62.0..65.0), ("tried", "> 1.5s", 33.0..38.0, 60.0..64.0)]
    {
        let alerts = json[under]["alerts"].as_array().unwrap();
        assert_eq!(alerts.len(), 1, "{json:#}");
        let alert = &alerts[0];
        assert_eq!(
            (&alert["rule"], &alert["subject"], &alert["severity"]),
            (&"slow_shop".into(), &"GET /orders".into(), &"high".into())
        );
        assert_eq!((&alert["threshold"], &alert["worst"]), (&limit.into(), &"2s".into()));
        assert!(from.contains(&minutes(&alert["fired"])) && to.contains(&minutes(&alert["resolved"])), "{alert}");
        assert!((minutes(&alert["fired"]) - minutes(&alert["since"]) - 2.0).abs() < 0.01, "for is 2m: {alert}");
    }
    // More points than Prometheus returns at a time.
    let fine: Value = serde_json::from_str(&with(&["--step", "1s", "--to", "json"])).unwrap();
    assert_eq!(fine["today"]["alerts"].as_array().unwrap().len(), 1);
    let table = with(&["--rules", tried]);
    assert!(table.contains("slow_shop  1 × ") && table.contains("GET /orders"), "{table}");
    let svg = with(&["--rules", tried, "--to", "svg"]);
    assert!(svg.starts_with("<svg ") && svg.contains(">slow_shop</text>") && svg.ends_with("</svg>\n"), "{svg}");
}

#[test]
fn credentials_are_read_from_a_file_and_never_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let body = "{\"status\":\"error\",\"error\":\"who are you?\"}";
        write!(
            stream,
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        String::from_utf8(request).unwrap().to_lowercase()
    });
    let directory = tempfile::tempdir().unwrap();
    let (rules, secret) = (directory.path().join("today.yaml"), directory.path().join("secret"));
    std::fs::write(&rules, TODAY).unwrap();
    std::fs::write(&secret, "Bearer hunter2\n").unwrap();
    let (rules, secret) = (rules.to_str().unwrap(), secret.to_str().unwrap());
    let arguments = ["rules", "replay", "--prometheus", &url, "--today", rules, "--authorization-file", secret];
    let (stdout, stderr) = ended(&arguments, 1);
    assert!(stdout.is_empty() && !stderr.contains("hunter2"), "{stdout}{stderr}");
    assert_eq!(stderr, "pinchpoint: Prometheus answers 401 to the query of slow_shop: who are you?\n");
    let request = server.join().unwrap();
    assert!(
        request.starts_with("get /api/v1/query_range?query=") && request.contains("authorization: bearer hunter2"),
        "{request}"
    );
}

/// Starts a server that answers queries which contain `refused` as Prometheus does those that it cannot read.
fn server_that_refuses(refused: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let (status, body) = match String::from_utf8(request).unwrap().contains(refused) {
                true => ("400 Bad Request", "{\"status\":\"error\",\"error\":\"parse error\"}"),
                false => ("200 OK", "{\"status\":\"success\",\"data\":{\"result\":[]}}"),
            };
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
        }
    });
    url
}

#[test]
fn a_refused_query_is_named_and_the_other_rules_are_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("today.yaml");
    let tail = TODAY.replace("rules:\n", "").replace("slow_shop", "slow_tail").replace("avg_duration", "p95_duration");
    std::fs::write(&rules, format!("{TODAY}{tail}")).unwrap();
    let arguments = |url| ["rules", "replay", "--prometheus", url, "--today", rules.to_str().unwrap(), "--to", "json"];
    let url = server_that_refuses("histogram_quantile");
    let replayed: Value = serde_json::from_str(&ended(&arguments(&url), 0).0).unwrap();
    let reason = "Prometheus answers 400 to the query of slow_tail: parse error";
    let expected = serde_json::json!([{ "rule": "slow_tail", "judged": false, "reason": reason }]);
    assert_eq!(replayed["today"]["remarks"], expected);
    // A server that refuses all of them is no Prometheus, or not its API.
    let url = server_that_refuses("query");
    let (stdout, stderr) = ended(&arguments(&url), 1);
    assert_eq!(
        (&*stdout, &*stderr),
        ("", "pinchpoint: Prometheus answers 400 to the query of slow_shop: parse error\n")
    );
}

#[test]
fn a_prometheus_that_is_not_there_is_named_without_the_query_and_the_password() {
    // Nothing listens where a listener was.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://me:hunter2@{address}/prom/");
    let (stdout, stderr) = ended(&["rules", "replay", "--prometheus", &url], 1);
    assert!(
        stderr.starts_with(&format!("pinchpoint: no answer from Prometheus at http://{address}/prom: ")),
        "{stderr}"
    );
    assert!(stderr.contains("Connection refused") && stderr.lines().count() == 1, "{stderr}");
    assert!(stdout.is_empty() && !stderr.contains("query") && !stderr.contains("hunter2"), "{stdout}{stderr}");
}

#[test]
fn an_address_that_cannot_be_one_of_a_prometheus_is_a_mistake_of_the_command_line() {
    for url in
        ["127.0.0.1:29090", "localhost:9090", "http://127.0.0.1:1/?token=abcsecret", "http://127.0.0.1:1/#abcsecret"]
    {
        let (stdout, stderr) = ended(&["rules", "replay", "--prometheus", url], 2);
        assert!(stdout.is_empty() && !stderr.contains("abcsecret"), "{url}: {stdout}{stderr}");
        assert!(stderr.contains("'--prometheus <URL>'"), "{url}: {stderr}");
        assert!(
            stderr.contains("expected http:// or https:// and a host, such as http://localhost:9090"),
            "{url}: {stderr}"
        );
    }
}

#[test]
fn a_history_that_cannot_be_read_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.redb");
    std::fs::write(&file, "not a history").unwrap();
    let path = file.to_str().unwrap();
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules");
    for (command, see) in [("replay", "--rules and --today"), ("suggest", "--rules")] {
        let unknown = ["rules", command, "--history", path, "--rules", rules, "--rule", "slow_endpont"];
        let expected = format!("pinchpoint: no rule is called \"slow_endpont\"; see {see}\n");
        assert_eq!(ended(&unknown, 1), (String::new(), expected));
        let (stdout, stderr) = ended(&["rules", command, "--history", path, "--rules", rules], 1);
        let expected =
            format!("pinchpoint: {path}: the file is not a history file and was not changed; choose another path\n");
        assert_eq!((stdout.as_str(), stderr), ("", expected), "{command}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a history");
    let output = pinchpoint(&["rules", "replay"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "one of --history and --prometheus must be there");
}
