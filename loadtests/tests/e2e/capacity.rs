//! The search for the highest load.

use crate::server::Server;
use crate::tool::loadtest;

#[test]
fn capacity_of_a_narrow_service_is_found_and_explained() {
    let server = Server::start();
    let url = server.url();
    let arguments = [
        "--find-capacity",
        "-H",
        &url,
        "-e",
        "/narrow",
        "-t",
        "600ms",
        "--threshold",
        "p90<70ms",
        "--no-rules",
        "-o",
        "c.html",
        "--no-server",
    ];
    let run = loadtest(&arguments).ended_with(0).said("Capacity:").said("A higher load breaks: all requests: p90<70ms");
    // Four at a time, 20 ms each: with n users a request takes 5n ms, 70 ms at 14.
    let capacity = run.number("/capacity/capacity");
    assert!((7.0..=15.0).contains(&capacity), "{capacity}\n{}", run.out);
    let page = std::fs::read_to_string(run.file("c.html")).unwrap();
    assert!(page.contains("the knee is where it bends") && page.contains("<polyline"));
}

#[test]
fn a_service_that_bears_nothing_has_no_capacity() {
    let server = Server::start();
    let arguments =
        ["--find-capacity", "-H", &server.url(), "-e", "/slow", "-t", "400ms", "--threshold", "p50<5ms", "--no-server"];
    loadtest(&arguments).ended_with(1).said("even the lowest load fails");
}
