//! A service that is gone for a while in the middle of a run.

use crate::{server::Server, tool::loadtest};

#[test]
fn an_outage_is_shown_although_its_few_failures_pass() {
    let server = Server::start();
    let load = ["-H", &server.url(), "-e", "/outage", "-u", "4", "-t", "5s", "--no-rules", "--no-server"];
    let run = loadtest(&[&load[..], &["--progress", "lines", "-o", "page.html"]].concat()).ended_with(0);
    // Users who wait longer after each failure make few of them.
    assert!(run.number("/error_rate") < 10.0, "{}", run.out);
    let outages = run.json["outages"].as_array().unwrap();
    let [outage] = outages.as_slice() else { panic!("one outage: {outages:?}") };
    let field = |name: &str| outage[name].as_f64().unwrap();
    // A user that waits finds out within a second that the service is back.
    assert!((0.5..1.2).contains(&field("start")) && (1.7..3.6).contains(&field("seconds")), "{outage}");
    // The first user may fail while another one's last request is still answered.
    let failed = run.number("/failed_requests");
    assert!((failed - 4.0..=failed).contains(&field("failed")), "{outage} of {failed}");
    let run =
        run.said("No success for ").said("note  all requests: some request succeeds at any time; observed no success");
    let page = std::fs::read_to_string(run.file("page.html")).unwrap();
    assert!(page.contains("<rect class=\"band\"") && page.contains("nothing succeeded"));
}

#[test]
fn an_outage_is_seen_while_it_lasts() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/dying", "-u", "4", "-t", "6s", "--no-rules", "--no-server"]);
    assert!(run.err.contains("no success for "), "{}", run.err);
    assert_eq!(run.json["outages"].as_array().unwrap().len(), 1, "{}", run.out);
}

#[test]
fn a_service_that_hangs_for_a_while_has_an_outage_too() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/freezing", "-u", "4", "-t", "7s", "--no-rules", "--no-server"]);
    let outages = run.json["outages"].as_array().unwrap();
    assert_eq!((outages.len(), outages[0]["failed"].as_u64()), (1, Some(0)), "{}", run.out);
    assert!(outages[0]["seconds"].as_f64().unwrap() > 3.5, "{}", run.out);
    run.said("requests hung meanwhile").ended_with(0);
}

#[test]
fn a_service_that_fails_now_and_then_has_no_outage() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/sometimes", "-u", "2", "-t", "3s", "--no-rules", "--no-server"]);
    assert!(run.number("/failed_requests") > 10.0, "{}", run.out);
    assert_eq!(run.json["outages"].as_array().unwrap().len(), 0, "{}", run.out);
    // Users that all pause at once leave times without any request.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pauses.yaml");
    std::fs::write(&file, "scenarios: [{ name: a, think_time: 1500ms, steps: [{ get: /sometimes }] }]\n").unwrap();
    let load = ["-f", file.to_str().unwrap(), "-u", "40", "-t", "6s", "--no-rules", "--no-server"];
    let run = loadtest(&[&["-H", &server.url()], &load[..]].concat());
    assert!(run.number("/failed_requests") > 10.0, "{}", run.out);
    assert_eq!(run.json["outages"].as_array().unwrap().len(), 0, "{}", run.out);
}
