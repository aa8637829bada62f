//! `pinchpoint rules`.

use super::ended;

/// Returns the files of a folder of the repository that end so, in order.
fn shipped(folder: &str, ending: &str) -> Vec<String> {
    let folder = format!("{}/../{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path().to_str().unwrap().to_owned());
    let mut files: Vec<String> = files.filter(|file| file.ends_with(ending)).collect();
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    files
}

#[test]
fn the_shipped_rules_are_good() {
    let files = shipped("rules", ".yaml");
    let arguments: Vec<_> = ["rules", "check"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (stdout, stderr) = ended(&arguments, 0);
    assert!(stdout.ends_with(&format!(" rules in {} files are good\n", files.len())), "{stdout}");
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
    let files = shipped("rules/tests", ".test.yaml");
    let arguments: Vec<_> = ["rules", "test"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (stdout, stderr) = ended(&arguments, 0);
    assert_eq!(stdout.lines().filter(|line| line.ends_with(" passed")).count(), files.len(), "{stdout}");
    assert!(stderr.is_empty(), "{stderr}");
}
