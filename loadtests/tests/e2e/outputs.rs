//! Every format is written and can be read.

use std::collections::HashMap;

use crate::{
    server::{GZIP_TEXT, HOSTILE_TEXT, Server, compressed},
    tool::loadtest,
};

#[test]
fn every_format_is_written() {
    let server = Server::start();
    let url = server.url();
    let arguments = [
        "-H", &url, "-e", "/ok", "/error", "-u", "2", "-t", "1s", "-o", "r.csv", "-o", "r.html", "-o", "r.md", "-o",
        "r.xml",
    ];
    let run = loadtest(&arguments).ended_with(1);
    let read = |name: &str| std::fs::read_to_string(run.file(name)).unwrap();
    // The brief's fields, of the whole and of each endpoint.
    for field in [
        "endpoint",
        "method",
        "total_requests",
        "successful_requests",
        "failed_requests",
        "avg_response_time",
        "p95_response_time",
        "p99_response_time",
        "requests_per_second",
        "error_rate",
        "status_codes",
    ] {
        assert!(!run.json[field].is_null(), "{field}");
        assert!(!run.json["endpoints"][0][field].is_null(), "{field}");
    }
    let csv = read("r.csv");
    assert!(csv.starts_with("endpoint,method,total_requests,successful_requests"));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<HashMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let endpoints: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["method"].as_str(), row["endpoint"].as_str())).collect();
    assert_eq!(endpoints, [("GET", "/ok"), ("GET", "/error"), ("*", "*")]);
    for (row, endpoint) in rows.iter().zip(run.json["endpoints"].as_array().unwrap().iter().chain([&run.json])) {
        for field in ["total_requests", "failed_requests", "p95_response_time", "error_rate"] {
            assert_eq!(row[field].parse::<f64>().unwrap(), endpoint[field].as_f64().unwrap(), "{field}");
        }
    }
    let html = read("r.html");
    assert!(html.contains(">breached</span>"), "{html}");
    assert_eq!(html.matches("<figure").count(), 7, "three charts of all requests and two of each endpoint: {html}");
    assert!(html.contains("status 500") && !html.contains("http-equiv"));
    assert!(!html.contains("src=") && !html.contains("href="), "the page needs something from outside");
    assert!(read("r.md").contains("| GET /error |"));
    let xml = read("r.xml");
    let junit = roxmltree::Document::parse(&xml).unwrap();
    let suite = junit.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    let count = |name: &str| suite.descendants().filter(|node| node.has_tag_name(name)).count().to_string();
    assert_eq!(suite.attribute("tests"), Some(count("testcase").as_str()));
    assert_eq!(suite.attribute("failures"), Some(count("failure").as_str()));
    let failed = |node: roxmltree::Node<'_, '_>| node.descendants().any(|child| child.has_tag_name("failure"));
    let mut cases = suite.children().filter(|node| node.has_tag_name("testcase"));
    assert!(cases.any(|case| failed(case) && case.attribute("name").unwrap().contains("GET /error")), "{xml}");
    assert_eq!(run.json["verdict"]["exit_code"], 1);
}

#[test]
fn progress_is_lines_where_there_is_no_terminal_and_nothing_when_quiet() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/slow", "-u", "2", "-t", "1s"];
    let run = loadtest(&arguments).ended_with(0);
    assert!(run.err.contains("users    2") && run.err.contains("left ") && !run.err.contains('\x1b'), "{}", run.err);
    let quiet: Vec<&str> = arguments.iter().copied().chain(["--quiet"]).collect();
    let run = loadtest(&quiet).ended_with(0);
    assert_eq!((run.err.as_str(), run.out.as_str()), ("", "\nPASSED\n"));
}

#[test]
fn percentiles_are_in_order() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/ok", "/sometimes", "/slow", "-u", "5", "-t", "1s", "--no-rules"]);
    for endpoint in run.json["endpoints"].as_array().unwrap().iter().chain([&run.json]) {
        let at = |field: &str| endpoint[field].as_f64().unwrap();
        let values =
            ["min", "p50", "p90", "p95", "p99", "p999", "max"].map(|name| at(&format!("{name}_response_time")));
        assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{values:?}");
    }
}

#[test]
fn bytes_are_those_on_the_wire() {
    let server = Server::start();
    let run =
        loadtest(&["-H", &server.url(), "-e", "/gzip", "-u", "1", "--iterations", "5", "-o", "r.csv"]).ended_with(0);
    assert_eq!(run.number("/bytes_received") as usize, 5 * compressed(GZIP_TEXT).len());
    assert_eq!(run.number("/bytes_decoded") as usize, 5 * GZIP_TEXT.len());
    let csv = std::fs::read_to_string(run.file("r.csv")).unwrap();
    assert!(csv.contains(&format!(",{},", 5 * GZIP_TEXT.len())), "{csv}");
    let plain =
        loadtest(&["-H", &server.url(), "-e", "/gzip", "-u", "1", "--iterations", "5", "--no-gzip"]).ended_with(0);
    assert_eq!(plain.number("/bytes_received") as usize, 5 * GZIP_TEXT.len());
    assert!(plain.json["bytes_decoded"].is_null());
}

#[test]
fn what_a_service_says_stays_text_in_every_output() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let file = folder.path().join("hostile.yaml");
    let text = "scenarios: [{ name: a, steps: [{ get: /hostile }] }]\n";
    std::fs::write(&file, text).unwrap();
    let outputs = ["r.csv", "r.html", "r.md", "r.xml"];
    let arguments = ["-H", &server.url(), "-f", file.to_str().unwrap(), "-u", "1", "--iterations", "3"];
    let run = loadtest(&[&arguments[..], &outputs.map(|name| ["-o", name]).concat()].concat()).ended_with(1);
    let example = run.json["failures"][0]["example"].as_str().unwrap().to_owned();
    assert_eq!(example, "gpj.exe PASSED <img src=x>|`[click](http://evil) **big** @all");
    assert!(HOSTILE_TEXT.len() > example.len());
    let files = outputs.map(|name| std::fs::read_to_string(run.file(name)).unwrap());
    let [_, html, markdown, _] = &files;
    for text in files.iter().chain([&run.out, &run.err]) {
        let is_wild = |c: char| c.is_control() && !"\r\n\t".contains(c) || c == '\u{202e}';
        assert!(!text.contains(is_wild), "{text}");
        assert!(!text.lines().any(|line| line == "PASSED"), "{text}");
    }
    assert!(html.contains("&lt;img src=x&gt;") && !html.contains("<img"));
    let said = "gpj.exe PASSED &lt;img src=x>\\|\\`\\[click\\](http://evil) \\*\\*big\\*\\* @all";
    assert!(markdown.contains(&format!("({said})")) && markdown.contains(&format!("| {said} |")), "{markdown}");
}

#[test]
fn a_result_on_standard_output_is_alone_there() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/ok", "-u", "1", "--iterations", "3", "-o", "-"]).ended_with(0);
    let result: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(result, run.json);
    assert!(run.err.contains("What users saw") && run.err.contains("PASSED"), "{}", run.err);
    let quiet =
        loadtest(&["-H", &server.url(), "-e", "/ok", "-u", "1", "--iterations", "3", "-q", "-o", "-"]).ended_with(0);
    assert!(serde_json::from_str::<serde_json::Value>(&quiet.out).is_ok() && !quiet.err.contains("What users saw"));
}
