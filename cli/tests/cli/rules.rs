//! `pinchpoint rules`.

use super::ended;

const SHIPPED: [&str; 4] = ["database", "endpoints", "process", "tasks"];

#[test]
fn the_shipped_rules_are_good() {
    let files = SHIPPED.map(|name| format!("{}/../rules/{name}.yaml", env!("CARGO_MANIFEST_DIR")));
    let arguments: Vec<_> = ["rules", "check"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (stdout, stderr) = ended(&arguments, 0);
    assert!(stdout.ends_with(" rules in 4 files are good\n"), "{stdout}");
    assert!(stderr.is_empty(), "{stderr}");
}

#[test]
fn a_mistake_is_told_with_its_place_and_exits_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.yaml");
    std::fs::write(&file, "rules:\n  - id: slow_shop\n    scope: endpiont\n    measure: avg_duration\n").unwrap();
    let file = file.to_str().unwrap();
    let (stdout, stderr) = ended(&["rules", "check", file], 1);
    assert!(stdout.is_empty(), "{stdout}");
    let scope = format!("{file}:3:12: rule \"slow_shop\": unknown scope \"endpiont\"; did you mean \"endpoint\"?");
    assert!(stderr.lines().any(|line| line == scope), "{stderr}");
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/rules.schema.json")).unwrap();
    assert_eq!(ended(&["rules", "schema"], 0).0, shipped);
}

#[test]
fn the_shipped_rules_pass_their_tests() {
    let files = SHIPPED.map(|name| format!("{}/../rules/tests/{name}.test.yaml", env!("CARGO_MANIFEST_DIR")));
    let arguments: Vec<_> = ["rules", "test"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (stdout, stderr) = ended(&arguments, 0);
    assert_eq!(stdout.lines().filter(|line| line.ends_with(" passed")).count(), 4, "{stdout}");
    assert!(stderr.is_empty(), "{stderr}");
}
