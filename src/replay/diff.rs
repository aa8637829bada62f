//! [`unified`]: inserted lines as a unified diff, as `patch` and `git apply` read it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Component, Path},
};

/// Lines shown around what is inserted, as diff does.
const CONTEXT: usize = 3;

/// Returns the names of files in one diff: as they are where all are below the present directory, otherwise all absolute. `patch`
/// refuses both `..` and absolute names, but takes those from `/` with one component less.
pub(super) fn names(paths: &[&Path]) -> Vec<String> {
    let is_below = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let are_below = paths.iter().copied().all(is_below);
    let name = |path: &&Path| match path.canonicalize() {
        Ok(absolute) if !are_below => quoted(&absolute),
        _ => quoted(path),
    };
    paths.iter().map(name).collect()
}

/// Returns whether a diff has absolute names; see [`names`].
pub(super) fn names_are_absolute(diff: &str) -> bool {
    diff.starts_with("--- /") || diff.starts_with("--- \"/")
}

/// Writes a name as diff does: in quotes where it has signs that end a line or a quoted name, and before a tab where it has a space.
fn quoted(path: &Path) -> String {
    let name = path.display().to_string();
    if !name.chars().any(|sign| sign.is_control() || sign == '"' || sign == '\\') {
        return if name.contains(' ') { name + "\t" } else { name };
    }
    let mut quoted = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => _ = write!(quoted, "\\{byte:03o}"),
        }
    }
    quoted + "\""
}

/// Writes a diff that inserts lines into a text: each after so many of its lines.
pub(super) fn unified(path: &str, text: &str, insertions: &BTreeMap<usize, Vec<String>>) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut hunks: Vec<Vec<usize>> = Vec::new();
    for after in insertions.keys().copied() {
        match hunks.last_mut() {
            Some(hunk) if hunk.last().is_some_and(|last| after - last <= 2 * CONTEXT) => hunk.push(after),
            _ => hunks.push(vec![after]),
        }
    }
    if hunks.is_empty() {
        return String::new();
    }
    let mut diff = format!("--- {path}\n+++ {path}\n");
    let mut inserted = 0;
    for hunk in hunks {
        let (first, last) = (hunk.first().copied().unwrap_or_default(), hunk.last().copied().unwrap_or_default());
        let (from, to) = (first.saturating_sub(CONTEXT), lines.len().min(last + CONTEXT));
        let added: usize = hunk.iter().map(|after| insertions[after].len()).sum();
        let _ = writeln!(diff, "@@ -{},{} +{},{} @@", from + 1, to - from, from + 1 + inserted, to - from + added);
        for at in from..=to {
            for line in insertions.get(&at).into_iter().flatten() {
                let _ = writeln!(diff, "+{line}");
            }
            if let Some(line) = lines.get(at).filter(|_| at < to) {
                let _ = write!(diff, " {line}");
                if !line.ends_with('\n') {
                    diff += "\n\\ No newline at end of file\n";
                }
            }
        }
        inserted += added;
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, insertions: &[(usize, &[&str])], expected: &str) {
        let insertions =
            insertions.iter().map(|(at, lines)| (*at, lines.iter().map(|line| line.to_string()).collect())).collect();
        assert_eq!(unified("x", text, &insertions), expected);
    }

    #[test]
    fn hunks_have_three_lines_around_them_and_join_where_they_meet() {
        let text = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n";
        let expected = "--- x\n+++ x\n@@ -1,5 +1,7 @@\n 1\n 2\n+a\n+b\n 3\n 4\n 5\n@@ -8,6 +10,7 @@\n 8\n 9\n 10\n+c\n 11\n 12\n 13\n";
        check(text, &[(2, &["a", "b"]), (10, &["c"])], expected);
        let joined = "--- x\n+++ x\n@@ -1,8 +1,10 @@\n 1\n 2\n+a\n 3\n 4\n 5\n+b\n 6\n 7\n 8\n";
        check(text, &[(2, &["a"]), (5, &["b"])], joined);
        check(text, &[], "");
    }

    #[test]
    fn names_are_as_patch_takes_them() {
        let names = |paths: &[&str]| names(&paths.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(names(&["rules/a.yaml", "./b.yaml"]), ["rules/a.yaml", "./b.yaml"]);
        assert_eq!(names(&["with space/a.yaml"]), ["with space/a.yaml\t"]);
        assert_eq!(names(&["a\"b\n\u{e4}.yaml"]), ["\"a\\\"b\\012\\303\\244.yaml\""]);
        let here = std::env::current_dir().expect("a directory");
        let toml = here.join("Cargo.toml").display().to_string();
        assert_eq!(names(&["Cargo.toml", "src/../Cargo.toml"]), [toml.clone(), toml.clone()]);
        assert!(names_are_absolute(&unified(&toml, "1\n", &BTreeMap::from([(0, vec!["0".to_owned()])]))));
    }

    #[test]
    fn a_text_may_end_without_a_line_feed() {
        check("1\n2", &[(1, &["a"])], "--- x\n+++ x\n@@ -1,2 +1,3 @@\n 1\n+a\n 2\n\\ No newline at end of file\n");
    }
}
