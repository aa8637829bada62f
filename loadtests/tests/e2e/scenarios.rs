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

/// Writes a file into the folder of a scenario and returns its path.
fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_value_in_a_body_stays_one_value() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    write(&folder, "quotes.csv", "note\n\"say \"\"hi\"\" \\ now\"\n\"two\nlines & more\"\nplain\n");
    let file = write(
        &folder,
        "quotes.yaml",
        r#"
data: { file: quotes.csv, order: sequential }
scenarios:
  - name: note
    steps:
      - post: /ok?q={{ note }}
        json: { note: "{{ note }}", nested: { again: ["{{ note }}"] } }
      - post: /ok
        body: '{"note": "{{ note }}", "iteration": {{ iteration }}}'
      - post: /ok
        body: note={{ note }}&end=1
"#,
    );
    loadtest(&["-H", &server.url(), "-f", &file, "-u", "1", "--iterations", "3"]).ended_with(0);
    let notes = ["say \"hi\" \\ now", "two\nlines & more", "plain"];
    let bodies = server.bodies();
    for (iteration, note) in notes.iter().enumerate() {
        let [json, text, form] = &bodies[3 * iteration..3 * iteration + 3] else { panic!("three bodies") };
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json, serde_json::json!({"note": note, "nested": {"again": [note]}}));
        let text: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(text, serde_json::json!({"note": note, "iteration": iteration + 1}));
        let url: reqwest::Url = format!("http://a/?{form}").parse().unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs, [("note".to_owned(), (*note).to_owned()), ("end".to_owned(), "1".to_owned())]);
    }
    assert_eq!(server.requests("/ok?q=say%20%22hi%22%20%5C%20now"), 1);
    assert_eq!(server.requests("/ok?q=two%0Alines%20%26%20more"), 1);
}

#[test]
fn every_row_is_used_once_before_any_repeats() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    write(&folder, "coupons.csv", "coupon\nA1\nB2\nC3\nD4\n");
    let file = write(
        &folder,
        "coupons.yaml",
        r#"
data: { file: coupons.csv, order: sequential }
scenarios:
  - name: redeem
    start:
      - get: /ok/session
    steps:
      - post: "/ok/{{ coupon }}"
        name: redeem
  - name: other
    steps:
      - get: /ok/unrelated
      - get: "/ok/{{ coupon }}"
"#,
    );
    loadtest(&["-H", &server.url(), "-f", &file, "-u", "2", "--iterations", "2"]).ended_with(0);
    assert_eq!(["A1", "B2", "C3", "D4"].map(|coupon| server.requests(&format!("/ok/{coupon}"))), [1; 4]);
    assert_eq!((server.requests("/ok/session"), server.requests("/ok/unrelated")), (1, 2));
}

#[test]
fn a_column_hides_the_built_in_name() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    write(&folder, "logins.csv", "user,password\nalice,s3cret\nbob,hunter2\n");
    let text = "data: { file: logins.csv }\nscenarios:\n  - name: login\n    steps:\n      - post: /login\n        \
                body: \"user={{ user }}&password={{ password }}\"\n";
    let file = write(&folder, "login.yaml", text);
    loadtest(&["-H", &server.url(), "-f", &file, "-u", "1", "--iterations", "2"]).ended_with(0);
    assert_eq!(server.bodies(), ["user=alice&password=s3cret", "user=bob&password=hunter2"]);
}

#[test]
fn random_values_differ_from_run_to_run_and_a_seed_repeats_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = "scenarios:\n  - name: register\n    steps:\n      - post: /ok\n        \
                json: { email: \"{{ uuid }}@example.com\", code: \"{{ random(1, 1000000) }}\" }\n";
    let file = write(&folder, "register.yaml", text);
    let bodies = |load: &[&str]| {
        let server = Server::start();
        let url = server.url();
        let run = loadtest(&[&["-H", url.as_str(), "-f", file.as_str(), "--no-server"], load].concat()).ended_with(0);
        let mut bodies = server.bodies();
        bodies.sort_unstable();
        (bodies, run)
    };
    for load in [&["-u", "2", "--iterations", "3"][..], &["--rate", "20/s", "-t", "500ms"]] {
        let (first, run) = bodies(load);
        let (second, _) = bodies(load);
        assert!(first.len() >= 6 && first.iter().all(|body| !second.contains(body)), "{first:?} {second:?}");
        let seed = run.json["seed"].as_u64().unwrap().to_string();
        let run = run.said(&format!(", seed {seed}"));
        assert!(run.json["started_at"].is_string());
        assert_eq!(bodies(&[load, &["--seed", &seed]].concat()).0, first);
    }
}

#[test]
fn each_step_of_a_search_draws_other_values() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let text = "scenarios:\n  - name: register\n    steps:\n      - post: /ok\n        json: { id: \"{{ uuid }}\" }\n        \
                think_time: 20ms\n";
    let file = write(&folder, "register.yaml", text);
    loadtest(
        &[
            &["-H", &server.url(), "-f", &file, "--find-capacity", "--max-load", "2", "-t", "500ms", "--no-server"][..],
            &["--no-rules", "--seed", "7"],
        ]
        .concat(),
    )
    .ended_with(0);
    let mut ids = server.bodies();
    let sent = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), sent > 50), (sent, true));
}

#[test]
fn what_cannot_be_sent_is_no_failure_of_the_service() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    write(&folder, "links.csv", "link,note,text\nftp://files/x,\"two\nlines\",b\n");
    let file = write(
        &folder,
        "links.yaml",
        r#"
data: { file: links.csv }
scenarios:
  - name: links
    steps:
      - get: "{{ link }}"
        name: link
        weight: 1
      - get: /ok/header
        headers: { x-note: "{{ note }}" }
      - get: /ok
        weight: 2
"#,
    );
    let run =
        loadtest(&["-H", &server.url(), "-f", &file, "-u", "1", "--iterations", "40", "-o", "r.md"]).ended_with(1);
    assert_eq!((run.number("/never_sent"), run.number("/outcomes/not sent/count")), (20.0, 20.0));
    assert_eq!((server.requests("/ok/header"), server.requests("/ok")), (0, 20));
    assert!(run.number("/min_response_time") > 0.0);
    let checks = run.json["verdict"]["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["source"] == "always"), "{checks:?}");
    let run = run.said("the address cannot be sent: URL scheme is not allowed");
    run.said("header x-note cannot be sent: its value has a line break or another control character");
}

#[test]
fn credentials_do_not_follow_a_link_to_another_origin() {
    let (server, other, folder) = (Server::start(), Server::start(), tempfile::tempdir().unwrap());
    write(&folder, "links.csv", &format!("link\n{}/head\n{}/head\n", server.url(), other.url()));
    let text = "data: { file: links.csv }\nscenarios: [{ name: a, steps: [{ get: '{{ link }}' }] }]\n";
    let file = write(&folder, "links.yaml", text);
    let url = server.url().replace("http://", "http://ann:s3cret@");
    let header = ["--header", "x-note: for all"];
    loadtest(&[&["-H", &url, "-f", &file, "-u", "1", "--iterations", "2", "--no-server"][..], &header].concat())
        .ended_with(0);
    let heads = |server: &Server| {
        let heads = server.heads();
        assert!(heads.len() == 1 && heads[0].contains("x-note: for all"), "{heads:?}");
        heads[0].contains("authorization: Basic ")
    };
    assert_eq!([heads(&server), heads(&other)], [true, false]);
}
