//! The types of the page's script: JavaScript with JSDoc, which the compiler of TypeScript checks.

use std::{path::Path, process::Command};

use super::npm;
use crate::program;

/// The script, where there is one.
const SCRIPT: &str = "../src/api/page/page.js";

#[test]
fn the_types_of_the_script_are_right() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
    if script.is_file() {
        check(&script, "");
    }
}

#[test]
fn a_wrong_type_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("page.js");
    std::fs::write(&script, "/** @type {number} */\nlet count = document.title;\ncount += 1;\n").unwrap();
    check(&script, "Type 'string' is not assignable to type 'number'");
}

/// Checks that the compiler finds nothing, or what is expected.
#[track_caller]
fn check(script: &Path, expected: &str) {
    let (Some(compiler), Some(node)) = (npm::file("typescript/lib/tsc.js"), program("node", "nodejs")) else { return };
    let output = Command::new(node)
        .arg(compiler)
        .args([
            "--noEmit",
            "--allowJs",
            "--checkJs",
            "--strict",
            "--target",
            "es2022",
            "--lib",
            "es2022,dom,dom.iterable",
        ])
        .arg(script)
        .output()
        .unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.success(), expected.is_empty(), "{found}");
    assert!(found.contains(expected), "{found}");
}
