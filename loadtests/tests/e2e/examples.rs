//! Every example of the help and of the READMEs, run against what `cargo run` starts.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{demo::Demo, tool::loadtest};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What examples write that ends when its user wants, and how long it takes here.
const LENGTHS: [(&str, &str); 6] = [
    ("--run-time 60s", "--run-time 1s"),
    ("--duration 60", "--duration 1"),
    ("-t 60", "-t 1"),
    ("--iterations 200", "--iterations 20"),
    ("--find-capacity", "--find-capacity --max-load 2 -t 300ms"),
    ("monitor", "monitor -t 3s"),
];

/// Returns the command lines of a text that call the tool, each on one line.
fn examples(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_continued = false;
    for line in text.lines() {
        let code: Vec<&str> = if line.contains('`') && !line.starts_with("```") {
            line.split('`').skip(1).step_by(2).collect()
        } else {
            vec![line]
        };
        for code in code {
            let code = code.trim().trim_start_matches("$ ").replace("cargo run --bin loadtest --", "loadtest");
            let code = code.split(" #").next().unwrap_or_default().trim();
            let (code, goes_on) = code.strip_suffix('\\').map_or((code, false), |code| (code.trim(), true));
            match found.last_mut() {
                Some(before) if is_continued => *before = format!("{before} {code}"),
                _ if code.starts_with("loadtest ") || code == "loadtest" && goes_on => found.push(code.to_owned()),
                _ => continue,
            }
            is_continued = goes_on;
        }
    }
    found
}

/// Runs an example in a folder in which the checkout's files lie where they lie in it.
fn run(example: &str, folder: &Path, demo: &Demo) {
    let mut line = example.replace("http://localhost:8000", &demo.url);
    for (long, short) in LENGTHS {
        line = line.replace(long, short);
    }
    let is_load = !["check", "compare", "monitor", "--help"].iter().any(|word| line.contains(word));
    if is_load {
        let has_length =
            [" -t ", "--run-time", "--duration", "--iterations"].iter().any(|option| line.contains(option));
        line.push_str(if has_length { "" } else { " -t 1s" });
        line.push_str(" -o result.json --saturation warn");
    }
    let output = Command::new("sh")
        .args(["-c", &format!("loadtest() {{ {} \"$@\"; }}; {line}", env!("CARGO_BIN_EXE_loadtest"))])
        .current_dir(folder)
        .env("PINCHPOINT_BASE_URL", &demo.url)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).join("\n");
    // The demo is sick, so that some of its answers are too slow for a rule or a threshold.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{line}\n{said}");
    if is_load {
        let result: Value = serde_json::from_str(&fs::read_to_string(folder.join("result.json")).unwrap()).unwrap();
        assert!(result["total_requests"].as_u64() > Some(0), "{line}\n{said}");
        // Its own sicknesses are errors of its own, and slow answers at the end of so short a test.
        let kinds = result["failures"].as_array().unwrap().iter().map(|failure| failure["kind"].as_str().unwrap());
        let is_mistake = |kind: &str| !kind.starts_with("status 5") && !kind.starts_with("given up");
        assert_eq!(kinds.filter(|kind| is_mistake(kind)).collect::<Vec<_>>(), [""; 0], "{line}\n{said}");
    }
}

#[test]
fn every_example_works_on_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["loadtests", "rules"] {
        std::os::unix::fs::symlink(Path::new(ROOT).join(name), folder.path().join(name)).unwrap();
    }
    let demo = Demo::start(&[]);
    let help = loadtest(&["--help"]).out;
    let (_, help) = help.split_once("\nExamples").unwrap();
    let texts = [help.to_owned(), read("README.md"), read("loadtests/README.md")];
    let found = texts.map(|text| examples(&text));
    assert!(found.iter().zip([8, 1, 9]).all(|(found, least)| found.len() >= least), "{found:#?}");
    for example in found.iter().flatten() {
        run(example, folder.path(), &demo);
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

#[test]
fn examples_are_found() {
    let text = "Say `loadtest -u 3` or\n```bash\n$ cargo run --bin loadtest -- check a.yaml   # a comment\nloadtest \\\n  \
                monitor\n```\nA loadtest is a test.\n";
    assert_eq!(examples(text), ["loadtest -u 3", "loadtest check a.yaml", "loadtest monitor"]);
}
