//! House rules that the compiler does not check, as tests over the source files.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules from left to right. A module imports only from ranks to its left; modules of one rank do not import each
/// other.
const RANKS: [&[&str]; 7] = [
    &["names", "analysis", "lock"],
    &["context"],
    &["http", "track", "sample", "store"],
    &["rules"],
    &["alert", "export", "markup"],
    &["monitor"],
    &["api", "replay", "testing"],
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn library() -> Vec<(PathBuf, String)> {
    texts("src")
}

/// Returns the Rust files under a directory of the repository, each with its path in there.
fn texts(directory: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut found = Vec::new();
    sources(&root, &mut found);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        (path.strip_prefix(&root).expect("inside").to_owned(), text)
    };
    found.into_iter().map(read).collect()
}

/// Returns whether a file holds nothing but tests, which may import from the right.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
}

/// Returns the part of a file before its tests.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|rank| rank.contains(&module))
}

#[test]
fn imports_go_left_only() {
    let mut wrong = Vec::new();
    for (path, text) in library().into_iter().filter(|(path, _)| !is_test(path)) {
        let module = path.components().next().expect("a name").as_os_str().to_string_lossy().replace(".rs", "");
        let Some(own) = rank(&module) else { continue };
        let text =
            code(&text).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for imported in imports(&text) {
            let allowed = rank(&imported).is_none_or(|rank| rank < own || imported == module);
            if !allowed {
                wrong.push(format!("{} imports {imported}", path.display()));
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}

/// Returns the top modules named after `crate::`, grouped imports included.
fn imports(text: &str) -> Vec<String> {
    imports_after(text, "crate::")
}

fn imports_after(text: &str, prefix: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for after in text.split(prefix).skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            found.push(name(after));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    found.push(name(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn the_import_reader_sees_groups() {
    let text = "use crate::{\n    names::{self, Metric},\n    store::Window,\n};\nuse crate::http::Layer;";
    assert_eq!(imports(text), ["names", "store", "http"]);
}

#[test]
fn a_file_has_one_subject() {
    let long: Vec<_> = library()
        .iter()
        .map(|(path, text)| (path.display().to_string(), text.lines().count()))
        .filter(|(path, lines)| *lines > 500 && path != "names.rs")
        .collect();
    assert_eq!(long, []);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> =
        library().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert_eq!(silent, [] as [PathBuf; 0]);
}

#[test]
fn metric_names_are_spelt_in_one_place() {
    let prefixes = ["\"http_server_", "\"db_client_", "\"process_", "\"tokio_", "\"pinchpoint_"];
    let spelt: Vec<_> = library()
        .into_iter()
        .filter(|(path, text)| {
            path != Path::new("names.rs") && !is_test(path) && prefixes.iter().any(|prefix| code(text).contains(prefix))
        })
        .map(|(path, _)| path)
        .collect();
    assert_eq!(spelt, [] as [PathBuf; 0]);
}

/// The only files that spell the names of measures and facts, and the one of the causes: a cause may have the name of a fact.
const FACTS: [&str; 3] = ["rules/fact.rs", "rules/measure.rs", "rules/cause_kind.rs"];

/// Returns the names that a catalogue defines as `number("…"` or `word("…"`. A name without an underscore is a word of
/// the language too, and may stand elsewhere with another meaning.
fn facts_of(catalogue: &str) -> impl Iterator<Item = &str> {
    let defined = ["number(\"", "word(\""].into_iter().flat_map(|call| catalogue.split(call).skip(1));
    defined.filter_map(|after| after.split('"').next()).filter(|name| name.contains('_'))
}

#[test]
fn facts_are_spelt_in_one_place() {
    let library = library();
    let catalogues: Vec<_> =
        library.iter().filter(|(path, _)| FACTS.iter().any(|file| path == Path::new(file))).collect();
    let names: Vec<_> =
        catalogues.iter().flat_map(|(_, text)| facts_of(text)).map(|name| format!("\"{name}\"")).collect();
    assert!(names.len() > 50, "the catalogues are read: {}", names.len());
    let readers = ["rules", "alert", "export", "monitor", "api", "replay", "testing"];
    let mut wrong = Vec::new();
    for (path, text) in &library {
        let is_catalogue = FACTS.iter().any(|file| path == Path::new(file));
        if is_catalogue || is_test(path) || !readers.iter().any(|module| path.starts_with(module)) {
            continue;
        }
        let spelt = names.iter().filter(|name| code_lines(text).any(|line| line.contains(name.as_str())));
        wrong.extend(spelt.map(|name| format!("{} spells {name}", path.display())));
    }
    assert_eq!(wrong, [] as [String; 0]);
}

/// Returns the lines of a file's code, without its tests and comments.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    code(text).lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// Returns the rooms of `rules` that a file names, whichever way it spells the path.
fn rooms_of_rules(path: &Path, text: &str) -> Vec<&'static str> {
    let inside = path.components().count() > 2;
    let used = |room: &&str| {
        let code = code_lines(text).collect::<Vec<_>>().join("\n");
        let within = code.split("rules::").skip(1).any(|after| {
            let group = after.strip_prefix('{').map_or_else(|| vec![after], |group| group.split([',', '{']).collect());
            group.iter().any(|item| item.trim_start().starts_with(&format!("{room}::")))
        });
        let beside = !inside && code_lines(text).any(|line| line.contains(&format!("super::{room}")));
        within || beside
    };
    ["file", "window"].into_iter().filter(used).collect()
}

#[test]
fn inside_rules_the_core_knows_no_room_and_the_rooms_do_not_know_each_other() {
    let mut wrong = Vec::new();
    for (path, text) in library() {
        let in_rules = path.starts_with("rules") && path != Path::new("rules/mod.rs");
        // The tests of the core start from rules that are read from a text.
        if !in_rules || is_test(&path) || path == Path::new("rules/fixed.rs") {
            continue;
        }
        let own = ["file", "window"].into_iter().find(|room| path.starts_with(Path::new("rules").join(room)));
        let others = rooms_of_rules(&path, &text).into_iter().filter(|room| Some(*room) != own);
        wrong.extend(others.map(|room| format!("{} imports rules::{room}", path.display())));
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn the_reader_of_rooms_sees_every_spelling() {
    let core = Path::new("rules/evidence.rs");
    assert_eq!(rooms_of_rules(core, "use super::window::Split;"), ["window"]);
    assert_eq!(rooms_of_rules(core, "use crate::{\n    rules::{file::RuleSet, unit::Unit},\n};"), ["file"]);
    assert_eq!(rooms_of_rules(Path::new("rules/file/set.rs"), "use crate::rules::window::Totals;"), ["window"]);
    assert_eq!(rooms_of_rules(core, "//! See super::window::Window.\nuse super::unit::Unit;"), ["window"; 0]);
}

/// The files of the core of `rules`; each imports from its left only.
const CORE_OF_RULES: [&str; 26] = [
    "suggest",
    "scope",
    "severity",
    "alert_labels",
    "subject",
    "cause_kind",
    "unit",
    "template",
    "threshold",
    "slo",
    "fact",
    "measure",
    "exported",
    "vocabulary",
    "condition",
    "rule",
    "evidence",
    "budget",
    "readings",
    "finding",
    "join",
    "gain",
    "bottleneck",
    "evaluate",
    "coverage",
    "observed",
];

/// The files of `rules/file`; each imports from its left only.
const FILES_OF_RULES: [&str; 19] = [
    "yaml",
    "position",
    "located",
    "source",
    "problem",
    "keys",
    "schema",
    "entry",
    "values",
    "naming",
    "builder",
    "limits",
    "reach",
    "build",
    "objective",
    "load",
    "embedded",
    "reference",
    "set",
];

/// Asserts that the files of a directory import each other in one direction.
#[track_caller]
fn check_order(directory: &str, order: &[&str]) {
    let place = |name: &str| order.iter().position(|known| *known == name);
    let mut wrong = Vec::new();
    for (path, text) in library() {
        let Some(name) = path.parent().filter(|parent| *parent == Path::new(directory)).and_then(|_| path.file_stem())
        else {
            continue;
        };
        let name = name.to_string_lossy();
        if is_test(&path) || name == "mod" || name == "fixed" {
            continue;
        }
        let Some(own) = place(&name) else {
            wrong.push(format!("{name} has no place in the order"));
            continue;
        };
        let code = code_lines(&text).collect::<Vec<_>>().join("\n");
        let imported = imports_after(&code, "super::").into_iter();
        wrong.extend(
            imported
                .filter(|other| place(other).is_some_and(|place| place > own))
                .map(|other| format!("{name} imports {other}")),
        );
    }
    assert_eq!(wrong, [] as [String; 0], "in {directory}");
}

#[test]
fn inside_rules_imports_go_left_only() {
    check_order("rules", &CORE_OF_RULES);
    check_order("rules/file", &FILES_OF_RULES);
}

#[test]
fn the_parts_of_pages_know_nothing_of_what_they_show() {
    let mut wrong = Vec::new();
    for (path, text) in library().into_iter().filter(|(path, _)| path.starts_with("markup") && !is_test(path)) {
        let code = code_lines(&text).collect::<Vec<_>>().join("\n").replace("crate::rules::Unit", "");
        wrong.extend(
            imports(&code)
                .into_iter()
                .filter(|room| room != "names")
                .map(|room| format!("{} imports {room}", path.display())),
        );
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn the_analysis_imports_nothing_of_the_crate() {
    let of_the_crate = |(path, text): &(PathBuf, String)| {
        path.starts_with("analysis") && !is_test(path) && code_lines(text).any(|line| line.contains("crate::"))
    };
    let wrong: Vec<_> = library().into_iter().filter(of_the_crate).map(|(path, _)| path).collect();
    assert_eq!(wrong, [] as [PathBuf; 0]);
}

/// Names that the library's core must not use: the core decides, the modules around it act.
const ACTIONS: [&str; 16] = [
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    ".elapsed()",
    "tokio::spawn",
    "thread::spawn",
    "thread::sleep",
    "async fn",
    "std::fs",
    "fs::",
    "File::",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "println!",
];

/// The only file of the core that does I/O: it reads rule files.
const READER: &str = "rules/file/source.rs";

#[test]
fn the_core_reads_no_clock_spawns_nothing_and_does_no_io() {
    let pure = ["analysis", "store", "rules", "alert", "export"];
    let mut wrong = Vec::new();
    for (path, text) in library() {
        if is_test(&path) || path == Path::new(READER) || !pure.iter().any(|module| path.starts_with(module)) {
            continue;
        }
        let found = ACTIONS.iter().filter(|action| code_lines(&text).any(|line| line.contains(**action)));
        wrong.extend(found.map(|action| format!("{} has {action}", path.display())));
    }
    assert_eq!(wrong, [] as [String; 0]);
}

/// In each member one file. Not by clippy.toml: it cannot except that file.
#[test]
fn one_file_decides_what_a_panic_under_a_lock_means() {
    let decisions = ["PoisonError", "lock().unwrap", "lock().expect", "read().unwrap", "write().unwrap"];
    let mut wrong = Vec::new();
    let members = ["src", "cli/src", "loadtests/src"].into_iter().flat_map(texts);
    for (path, text) in members.filter(|(path, _)| !path.ends_with("lock.rs")) {
        let found = decisions.iter().filter(|decision| text.contains(**decision));
        wrong.extend(found.map(|decision| format!("{} has {decision}", path.display())));
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn one_file_names_the_yaml_crate() {
    let names = |text: &str| {
        code(text).lines().any(|line| !line.trim_start().starts_with("//") && line.contains("serde_yaml::"))
    };
    let naming: Vec<_> = library().into_iter().filter(|(_, text)| names(text)).map(|(path, _)| path).collect();
    assert!(matches!(naming.as_slice(), [only] if only.ends_with("yaml.rs")), "{naming:?}");
}

#[test]
fn the_files_that_the_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rooms =
        ["src/", "tests/", "rules/", "alloc/", "cli/", "loadtests/", "benches/", "examples/", "prometheus/", "docs/"];
    let mut missing = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = fs::read_to_string(root.join(document)).expect("readable");
        // Code between backticks; a path in it has neither a space nor a placeholder.
        let words = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        let paths = words.filter(|word| rooms.iter().any(|room| word.starts_with(room)));
        for path in paths.filter(|path| !path.contains([' ', '*', '{']) && !path.contains("NAME")) {
            if !root.join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert_eq!(missing, [] as [String; 0]);
}

/// Returns the crates that a file imports from in more than one place; what a `cfg` guards stands apart.
fn imported_twice(text: &str) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut twice = Vec::new();
    let mut guarded = false;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("use ") {
            let root = path.trim_end_matches(';').split("::").next().unwrap_or_default().to_owned();
            if !guarded && path.contains("::") && !seen.insert(root.clone()) {
                twice.push(root);
            }
        }
        guarded = line.starts_with("#[");
    }
    twice
}

#[test]
fn a_file_imports_from_each_crate_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "alloc", "benches", "cli", "examples", "loadtests"] {
        sources(&root.join(folder), &mut files);
    }
    let mut wrong = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("readable");
        let path = path.strip_prefix(root).expect("inside").display().to_string();
        wrong.extend(imported_twice(&text).into_iter().map(|twice| format!("{path} imports {twice} twice")));
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn the_reader_of_imports_sees_a_second_one() {
    assert_eq!(imported_twice("use std::fs;\n\nuse std::io;\n"), ["std"]);
    assert_eq!(imported_twice("use std::{fs, io};\n#[cfg(unix)]\nuse std::os;\nuse super::*;\n"), [] as [&str; 0]);
}
