//! The order of the rooms, which no compiler sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Rooms from left to right; each imports only from its left. Those of one rank do not import each other.
const RANKS: [&[&str]; 11] = [
    &["span", "limits", "lock", "printable"],
    &["record"],
    &["scenario"],
    &["engine"],
    &["interrupt", "server", "verdict"],
    &["cli"],
    &["watch"],
    &["plan", "result"],
    &["compare", "report"],
    &["mode"],
    &["load_test"],
];

/// Files that import each other on purpose: a call in Rust code is built on its user and sends through it.
const PAIRS: [[&str; 3]; 1] = [["engine", "reply", "user"]];

/// Returns the source files but for those that hold only tests, each with its path in `src` and its code.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut directories, mut found) = (vec![root.clone()], Vec::new());
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") && !stem.ends_with("_tests") && stem != "fixture"
            {
                let code = code(&fs::read_to_string(&path).unwrap());
                found.push((path.strip_prefix(&root).unwrap().to_owned(), code));
            }
        }
    }
    found
}

/// Returns a text without comments and tests, which may import from anywhere.
fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Returns the modules that a text names after `prefix`, those of a group in braces included.
fn imports(text: &str, prefix: &str) -> BTreeSet<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut found = BTreeSet::new();
    for after in text.split(prefix).skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            found.insert(name(after));
            continue;
        };
        let mut depth = 0;
        let mut member = String::new();
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.insert(name(&std::mem::take(&mut member)));
                    continue;
                }
                _ => {}
            }
            member.push(c);
        }
        found.insert(name(&member));
    }
    found.remove("");
    found
}

#[test]
fn imports_go_left_only() {
    let rank = |room: &str| RANKS.iter().position(|rank| rank.contains(&room));
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let room = path.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        let Some(own) = rank(&room) else {
            assert!(["lib", "main"].contains(&room.as_str()), "{room} has no rank");
            continue;
        };
        let imported = imports(&code, "crate::").into_iter();
        wrong.extend(
            imported
                .filter(|other| *other != room && rank(other).is_some_and(|other| other >= own))
                .map(|other| format!("{} imports {other}", path.display())),
        );
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn files_of_a_room_import_each_other_in_no_circle() {
    let mut rooms: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (path, code) in sources() {
        let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().replace(".rs", "")).collect();
        if let [room, file] = parts.as_slice()
            && file != "mod"
        {
            rooms.entry(room.clone()).or_default().insert(file.clone(), imports(&code, "super::"));
        }
    }
    let mut circles = Vec::new();
    for (room, files) in &rooms {
        let reaches = |from: &str, to: &str| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(file) = next.pop() {
                for other in files.get(&file).into_iter().flatten() {
                    if seen.insert(other.clone()) {
                        next.push(other.clone());
                    }
                }
            }
            seen.contains(to)
        };
        for one in files.keys() {
            for other in files.keys().filter(|other| *other > one) {
                let is_known = PAIRS.contains(&[room.as_str(), one.as_str(), other.as_str()]);
                if !is_known && reaches(one, other) && reaches(other, one) {
                    circles.push(format!("{room}: {one} and {other}"));
                }
            }
        }
    }
    assert_eq!(circles, [] as [String; 0]);
}

#[test]
fn the_import_reader_sees_groups() {
    let text = "use crate::{\n    cli::{self, Mode},\n    report::Table,\n};\nuse crate::record::Tally;";
    assert_eq!(imports(text, "crate::").into_iter().collect::<Vec<_>>(), ["cli", "record", "report"]);
}
