//! Scenario files.

use crate::{server::Server, tool::loadtest};

#[test]
fn a_flow_logs_in_keeps_what_it_gets_and_uses_it() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("names.csv"), "name\nann\nbob\n").unwrap();
    let file = folder.path().join("flow.yaml");
    std::fs::write(
        &file,
        r#"
data: { file: names.csv }
scenarios:
  - name: member
    weight: 3
    start:
      - post: /login
        json: { user: "{{ name }}" }
        expect: { json: { token: t-42 } }
        capture:
          token: { json: token }
          item: { json: "items[*].id" }
    steps:
      - get: /secret?user={{ name }}&n={{ iteration }}&item={{ item }}
        headers: { authorization: "Bearer {{ token }}" }
        expect: { status: 200, contains: secret }
        think_time: 20ms..40ms
  - name: guest
    steps:
      - get: /secret
        expect: { status: 401 }
        think_time: 50ms
"#,
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let run = loadtest(&["-H", &server.url(), "-f", path, "-u", "4", "-t", "1s", "--no-server"]).ended_with(0);
    assert_eq!(server.requests("/login"), 3);
    let bodies = server.bodies();
    assert!(bodies.iter().any(|body| body == "{\"user\":\"ann\"}"), "{bodies:?}");
    assert!(server.requests("/secret?user=bob&n=1&item=7") > 0);
    assert_eq!(run.number("/total_requests") as u64, server.requests("/"));
    // The query is no part of the name: both kinds of users ask for one endpoint.
    let names: Vec<_> = run.json["endpoints"].as_array().unwrap().iter().map(|e| e["endpoint"].clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    loadtest(&["check", path]).ended_with(0).said("member (weight 3): 1 step");
}

#[test]
fn who_logs_in_is_who_acts_where_a_row_is_for_a_user() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("names.csv"), "name\nann\nbob\ncid\n").unwrap();
    let file = folder.path().join("flow.yaml");
    let text = "data: { file: names.csv, per: user }\nscenarios:\n  - name: a\n    start: [{ get: '/login?{{ name }}&{{ user }}' }]\n    \
                steps: [{ get: '/ok?{{ name }}&{{ user }}' }]\n";
    std::fs::write(&file, text).unwrap();
    loadtest(&["-H", &server.url(), "-f", file.to_str().unwrap(), "-u", "3", "--iterations", "4"]).ended_with(0);
    for name in ["ann", "bob", "cid"] {
        let of =
            |path: &str| (1..=3).map(|user| server.requests(&format!("{path}?{name}&{user}"))).collect::<Vec<u64>>();
        let (logins, acts) = (of("/login"), of("/ok"));
        assert_eq!(logins.iter().sum::<u64>(), 1, "{name}");
        assert_eq!(acts, logins.iter().map(|login| login * 4).collect::<Vec<u64>>(), "{name}");
    }
}

#[test]
fn a_body_that_is_too_long_is_said_to_be() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flow.yaml");
    std::fs::write(&file, "scenarios: [{ name: a, steps: [{ get: /long, expect: { contains: end } }] }]\n").unwrap();
    loadtest(&["-H", &server.url(), "-f", file.to_str().unwrap(), "-u", "1", "--iterations", "2"])
        .ended_with(1)
        .said("the body does not contain \"end\" (body longer than 4 MiB, of which only the start is looked at)");
}

#[test]
fn a_broken_file_is_told_line_by_line_before_anything_is_sent() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.yaml");
    std::fs::write(&file, "scenarios:\n  - name: a\n    stepss:\n      - get: /x\n").unwrap();
    let path = file.to_str().unwrap();
    let message = format!("{path}:3:5: unknown field \"stepss\"; did you mean \"steps\"?");
    loadtest(&["-H", &server.url(), "-f", path]).ended_with(2).said(&message);
    loadtest(&["check", path]).ended_with(2).said(&message);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_failing_capture_fails_the_step_and_spares_the_steps_after_it() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flow.yaml");
    let text = "scenarios:\n  - name: a\n    think_time: 20ms\n    steps:\n      - get: /ok\n        \
                capture: { id: { json: id } }\n      - get: /secret/{{ id }}\n";
    std::fs::write(&file, text).unwrap();
    let run = loadtest(&["-H", &server.url(), "-f", file.to_str().unwrap(), "-u", "2", "-t", "500ms"]).ended_with(1);
    let run = run.said("capture id: the body is not JSON");
    assert_eq!(server.requests("/secret"), 0);
    assert_eq!(run.number("/failed_requests") as u64, server.requests("/ok"));
}

#[test]
fn shipped_scenarios_are_good() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "yaml") {
            loadtest(&["check", path.to_str().unwrap()]).ended_with(0);
        }
    }
}
