//! Every format is written and can be read.

use crate::server::Server;
use crate::tool::loadtest;

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
    assert_eq!(csv.lines().count(), 4);
    assert!(csv.starts_with("endpoint,method,total_requests,successful_requests"));
    let html = read("r.html");
    assert!(html.contains("<svg") && html.contains("status 500") && !html.contains("http-equiv"));
    assert!(!html.contains("src=") && !html.contains("href="), "the page needs something from outside");
    assert!(read("r.md").contains("| GET /error |"));
    let xml = read("r.xml");
    assert!(xml.contains("<testsuite ") && xml.contains("<failure "));
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
