//! The search for the highest load.

use std::time::Duration;

use crate::{
    server::{Server, wait_until},
    tool::{loadtest, loadtest_after, started},
};

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
        "-u",
        "4",
        "-t",
        "1500ms",
        "--threshold",
        "p90<350ms",
        "--no-rules",
        "-o",
        "c.html",
        "--no-server",
    ];
    let run =
        loadtest(&arguments).ended_with(0).said("Capacity:").said("A higher load breaks: all requests: p90<350ms");
    // Four at a time, 100 ms each: with n users a request takes 25n ms, 350 ms at 14.
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
    loadtest(&arguments).ended_with(1).said("even the lowest load fails").said("The lowest load breaks");
}

#[test]
fn an_interrupted_search_says_so_and_writes_what_it_has() {
    let server = Server::start();
    let arguments = ["--find-capacity", "-H", &server.url(), "-e", "/slow", "-t", "2s", "--no-rules", "--no-server"];
    let running = started(&arguments);
    // The second step, of two users.
    wait_until("two users", || server.peak() >= 2);
    running.interrupt();
    let run = running.finish().ended_with(130).said("INTERRUPTED").said("the search was interrupted");
    assert!(run.took < Duration::from_secs(60), "{:?}", run.took);
    assert_eq!(
        (&run.json["verdict"]["exit_code"], &run.json["capacity"]["ended"]),
        (&130.into(), &"interrupted".into())
    );
    assert!(run.json["capacity"]["capacity"].is_null() && run.json["capacity"]["limited_by"].is_null());
    let steps = run.json["capacity"]["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["ended"], "interrupted");
    assert!(!run.out.contains("breaks") && !run.out.contains("FAIL"), "{}", run.out);
}

#[test]
fn a_saturated_generator_is_not_taken_for_a_limit_of_the_service() {
    let server = Server::start();
    let url = server.url();
    let load = ["--find-capacity", "-H", &url, "-e", "/ok", "--rate", "100/s", "-t", "2s"];
    let judged = ["--threshold", "p99<1us", "--no-rules", "--no-server", "--saturation", "fail"];
    let running = started(&[&load[..], &judged[..]].concat());
    // The first step sends 200, and is tried again.
    for sent in [20, 220] {
        server.wait_for(sent, "/ok");
        // What is due meanwhile is sent late although users are free.
        running.suspend(Duration::from_millis(400));
    }
    let run = running.finish().ended_with(3).said("GENERATOR SATURATED").said("doubling, again");
    let run = run.said("the generator was saturated at the lowest load already");
    assert!(run.json["capacity"]["limited_by"].is_null(), "{}", run.out);
}

#[test]
fn a_saturated_generator_only_warns_where_that_is_asked_for() {
    let server = Server::start();
    let url = server.url();
    let load = ["--find-capacity", "-H", &url, "-e", "/ok", "--rate", "100/s", "-t", "2s"];
    let judged = ["--threshold", "p99<1us", "--no-rules", "--no-server", "--saturation", "warn"];
    let running = started(&[&load[..], &judged[..]].concat());
    for sent in [20, 220] {
        server.wait_for(sent, "/ok");
        running.suspend(Duration::from_millis(400));
    }
    let run = running.finish().ended_with(1).said("even the lowest load fails");
    run.said("The lowest load breaks: all requests: p99<1us").said("the generator was saturated then");
}

#[test]
fn a_rate_that_is_not_borne_for_longer_is_lowered_in_small_steps() {
    let server = Server::start();
    let url = server.url();
    // Four at a time, 100 ms each: 40 a second. A little more passes for a second, until the queue has grown.
    let load = ["--find-capacity", "-H", &url, "-e", "/narrow", "--rate", "10/s", "-t", "1s"];
    let judged = ["--threshold", "p95<250ms", "--no-rules", "--no-server"];
    let run = loadtest(&[&load[..], &judged[..]].concat()).ended_with(0);
    let capacity = run.number("/capacity/capacity");
    assert!((36.0..=45.0).contains(&capacity), "{capacity}\n{}", run.out);
}

#[test]
fn the_tools_own_limit_of_open_files_ends_a_search_with_what_held() {
    let server = Server::start();
    let url = server.url();
    let arguments = [
        "--find-capacity",
        "-H",
        &url,
        "-e",
        "/slow",
        "-u",
        "8",
        "-t",
        "500ms",
        "--no-rules",
        "--no-server",
        "--saturation",
        "fail",
    ];
    let run = loadtest_after("ulimit -n 60", &arguments).ended_with(0);
    let run = run.said("above it the generator was saturated").said("ulimit -n");
    assert_eq!(run.number("/capacity/capacity"), 32.0, "{}", run.out);
}

#[test]
fn a_service_that_dies_ends_the_search_with_what_held() {
    let server = Server::start();
    let arguments =
        ["--find-capacity", "-H", &server.url(), "-e", "/mortal", "-t", "600ms", "--no-rules", "--no-server"];
    let run = loadtest(&arguments).ended_with(1).said("the service went away");
    let steps = run.json["capacity"]["steps"].as_array().unwrap();
    assert!(steps.len() >= 2 && steps[0]["ended"] == "passed", "{}", run.out);
    assert_eq!(
        (&run.json["capacity"]["ended"], &steps.last().unwrap()["ended"]),
        (&"went_away".into(), &"failed".into())
    );
    assert!(run.took < Duration::from_secs(60), "{:?}", run.took);
}

#[test]
fn a_service_that_is_started_again_bears_less_than_what_it_died_of() {
    let server = Server::start();
    let url = server.url();
    let arguments = [
        "--find-capacity",
        "-H",
        &url,
        "-e",
        "/reviving",
        "-t",
        "600ms",
        "--no-rules",
        "--no-server",
        "--max-load",
        "2",
    ];
    let run = loadtest(&arguments).ended_with(0).said("the service went away");
    assert_eq!((run.number("/capacity/capacity"), run.number("/capacity/steps/1/load")), (1.0, 2.0), "{}", run.out);
    assert_eq!(run.json["capacity"]["steps"][1]["ended"], "failed");
}

#[test]
fn every_kind_of_user_is_in_every_step() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kinds.yaml");
    let text = "scenarios:\n  - { name: a, weight: 97, steps: [{ get: /slow }] }\n  - { name: b, weight: 3, \
                steps: [{ get: /ok, think_time: 50ms }] }\n";
    std::fs::write(&file, text).unwrap();
    let (url, path) = (server.url(), file.to_str().unwrap());
    let load =
        ["--find-capacity", "-H", &url, "-f", path, "-t", "400ms", "--max-load", "4", "--no-rules", "--no-server"];
    let run = loadtest(&[&load[..], &["--threshold", "p95<5s for GET /ok"]].concat()).ended_with(0);
    assert_eq!(run.number("/capacity/steps/0/load"), 2.0, "{}", run.out);
}
