use proptest::prelude::*;

use super::*;
use crate::scenario::{Random, Values};

fn read(name: &str) -> std::io::Result<String> {
    match name {
        "terms.csv" => Ok("term\ntea\n".to_owned()),
        _ => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file")),
    }
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let problems: Vec<String> = parse_scenarios(text, &read).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(problems, expected);
}

#[test]
fn whole_file_is_read() {
    let flows = parse_scenarios(
        r#"
headers: { accept: application/json }
think_time: 100ms..1s
data: { file: terms.csv, order: random }
scenarios:
  - name: buyer
    weight: 3
    start:
      - post: /api/login
        json: { user: "u{{ user }}" }
        capture: { token: { json: token } }
    steps:
      - get: /api/search?q={{ term | url }}
        capture: { product: { json: "[*].id" } }
        expect: { status: [200, 2xx], contains: id, json: { "[0].ok": true } }
      - post: /api/cart
        name: cart
        headers: { authorization: "Bearer {{ token }}", accept: text/html }
        json: { product_id: "{{ product | number }}" }
        think_time: 0
        timeout: 2s
  - name: reader
    cookies: false
    steps:
      - get: /a
        weight: 3
      - get: /b
"#,
        &read,
    )
    .unwrap();
    let [buyer, reader] = flows.as_slice() else { panic!("two scenarios") };
    assert_eq!((buyer.weight, buyer.start.len(), buyer.cookies), (3, 1, true));
    let steps = buyer.steps.all();
    assert_eq!(steps[0].name, "/api/search");
    assert_eq!((steps[1].name.as_str(), steps[1].headers.len()), ("cart", 2));
    assert_eq!(steps[1].pause, Some(Pause::NONE));
    assert_eq!(steps[1].timeout, Some(std::time::Duration::from_secs(2)));
    assert!(matches!(&reader.steps, Steps::ByWeight(steps) if steps[0].1 == 3 && steps[1].1 == 1));
    assert!(!reader.cookies);
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    refused(
        "scenarios:
  - name: a
    wait: 3
    steps:
      - get: /x/{{ product }}
      - fetch: /y
      - get: y
        expect: { status: 999 }
        think_time: 1 fortnight
",
        &[
            "3:5: unknown field \"wait\"; expected one of name, weight, think_time, cookies, data, start, steps",
            "5:14: unknown name \"product\"; known here: user, iteration, uuid, random(LOW, HIGH), env.NAME",
            "6:9: no request; expected one of get, post, put, patch, delete, head or options",
            "6:9: unknown field \"fetch\"; expected one of get, post, put, patch, delete, head, options, name, \
             headers, json, body, body_file, expect, capture, think_time, timeout, weight",
            "7:14: \"y\" is not a path; it must start with \"/\"",
            "8:27: \"999\" is not an HTTP status; expected 100 to 599, or a class such as 2xx",
            "9:21: \"1 fortnight\" is not a duration; expected something like 30, 30s, 1m30s, 250ms or 1h",
        ],
    );
}

#[test]
fn capture_is_unknown_before_its_step() {
    refused(
        "scenarios:
  - name: a
    steps:
      - get: /x/{{ id }}
        capture: { id: { json: id } }
      - get: /y/{{ idd }}
",
        &[
            "4:14: unknown name \"id\"; known here: user, iteration, uuid, random(LOW, HIGH), env.NAME",
            "6:14: unknown name \"idd\"; known here: user, iteration, uuid, random(LOW, HIGH), env.NAME",
        ],
    );
}

#[test]
fn data_that_cannot_be_used_is_an_error() {
    refused(
        "data: { file: none.csv, order: shuffled }\nscenarios: [{ name: a, steps: [{ get: / }] }]\n",
        &[
            "1:15: cannot read none.csv: no such file",
            "1:32: unknown order \"shuffled\"; expected sequential or random",
        ],
    );
}

#[test]
fn a_file_needs_scenarios_with_names_of_their_own() {
    refused("headers: {}\n", &["1:1: no scenarios; expected \"scenarios:\" with a list"]);
    refused("- 1\n", &["1:1: expected a scenario file with fields such as \"name: …\""]);
    refused(
        "scenarios:\n  - { name: a, steps: [get: /] }\n  - { name: a, steps: [get: /] }\n",
        &["2:3: two scenarios are called \"a\""],
    );
}

proptest! {
    #[test]
    fn never_panics(text in "(scenarios|steps|get|name|: |\\n  - |\\{|\\}|\\[|x|\"|1){0,40}") {
        let _ = parse_scenarios(&text, &read);
    }
}

#[test]
fn a_row_of_the_data_is_for_an_iteration_or_a_user() {
    let per = |data: &str| {
        let text = format!("scenarios: [{{ name: a, data: {data}, steps: [{{ get: '/{{{{ term }}}}' }}] }}]");
        parse_scenarios(&text, &read).map(|flows| flows[0].data.as_ref().unwrap().row_lifetime())
    };
    assert_eq!(per("{ file: terms.csv }"), Ok(RowLifetime::Iteration));
    assert_eq!(per("{ file: terms.csv, per: iteration }"), Ok(RowLifetime::Iteration));
    assert_eq!(per("{ file: terms.csv, per: user }"), Ok(RowLifetime::User));
    refused(
        "scenarios:
  - name: a
    data: { file: terms.csv, per: users, order: any }
    steps: [{ get: /x }]
",
        &[
            "3:35: unknown per \"users\"; expected iteration or user",
            "3:49: unknown order \"any\"; expected sequential or random",
        ],
    );
}

#[test]
fn numbers_in_texts_stay_as_they_are_written() {
    let flows = parse_scenarios(
        "scenarios:
  - name: a
    steps:
      - post: /x
        headers: { x-version: 1.10, x-shop: 007 }
        body: 1.10
",
        &read,
    )
    .unwrap();
    let step = flows[0].steps.all()[0];
    let headers: Vec<_> = step.headers.iter().map(|(_, value)| value.as_literal()).collect();
    assert_eq!(headers, [Some("1.10"), Some("007")]);
    assert_eq!(step.payload.as_ref().unwrap().text.as_literal(), Some("1.10"));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    refused(
        "scenarios:
  - name: a
    steps:
      - get: //other/x
      - get: /x#top
        headers: { x-note: \"two\\nlines\" }
      - get: /y
        capture: { user: { json: id } }
",
        &[
            "4:14: \"//other/x\" is the address of another host; a path starts with one \"/\"",
            "5:14: \"/x#top\" has a \"#\", and what is behind it is never sent; write %23",
            "6:28: this header cannot be sent: it has a line break or another control character",
            "8:20: {{ user }} is built in; choose another name for the captured value",
        ],
    );
}

#[test]
fn scenarios_that_name_one_file_share_its_rows() {
    let flows = parse_scenarios(
        "data: { file: letters.csv }
scenarios:
  - { name: a, steps: [get: '/{{ letter }}'] }
  - { name: b, data: { file: letters.csv, per: user }, steps: [get: '/{{ letter }}'] }
",
        &|_| Ok("letter\na\nb\nc\n".to_owned()),
    )
    .unwrap();
    let mut random = Random::new(1);
    let dealt = [0, 1, 1, 0].map(|flow| {
        let mut values = Values::default();
        flows[flow].data.as_ref().unwrap().deal(&mut values, &mut random);
        values.at(0).unwrap().to_owned()
    });
    assert_eq!(dealt, ["a", "b", "c", "a"]);
}

#[test]
fn a_placeholder_without_quotes_is_no_empty_object() {
    refused(
        "scenarios: [{ name: a, steps: [{ post: /x, json: { id: {{ user }} } }] }]\n",
        &[
            "1:56: this has no form in JSON; a placeholder needs quotes, and \"{{ name | number }}\" is sent without them",
        ],
    );
}

#[test]
fn json_is_sent_as_it_is_written() {
    let text = "scenarios: [{ name: a, steps: [{ post: /x, json: { z: 12345678901234567890123, a: 1.10, n: 0x1F, t: '1' } }] }]";
    let flows = parse_scenarios(text, &read).unwrap();
    let body = flows[0].steps.all()[0].payload.as_ref().unwrap().text.as_literal();
    assert_eq!(body, Some(r#"{"z":12345678901234567890123,"a":1.10,"n":31,"t":"1"}"#));
}
