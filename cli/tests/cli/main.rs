//! The real `pinchpoint` binary: what it prints, answers and leaves behind.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod a_sick_shop;
mod alerts;
mod demo;
mod expressions;
mod page;
mod replay;
mod rules;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Returns the binary with these arguments.
fn pinchpoint(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinchpoint"));
    // What is set where the tests run is no part of them.
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Returns the rule files of a directory of the repository.
fn rule_files(directory: &str) -> impl Iterator<Item = PathBuf> {
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(directory)).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
}

/// Finds a program of a Debian package; where it is missing the test does nothing, and fails in CI.
fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file());
    if found.is_none() {
        missing(&format!("{name} is not installed; .ci/run installs it (Debian package {package})"));
    }
    found
}

/// Says that a test does nothing, and fails it in CI.
#[track_caller]
fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("NOT TESTED: {what}");
}

/// Returns what the binary said, after checking how it ended.
#[track_caller]
fn ended(arguments: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = pinchpoint(arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
    (stdout, stderr)
}

#[test]
fn a_command_line_that_makes_no_sense_exits_with_2() {
    let (stdout, stderr) = ended(&["demo", "--fix", "n-plus-won"], 2);
    assert!(stdout.is_empty());
    assert!(stderr.contains("a similar value exists: 'n-plus-one'"), "{stderr}");
}

#[test]
fn help_goes_to_standard_output() {
    let (stdout, stderr) = ended(&["--help"], 0);
    assert!(stdout.contains("Exit codes: 0 all is well") && stderr.is_empty());
}
