//! The shipped rules with shorter waiting times.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Longest run of a task, and longest request in flight, in the rules of the services; it stands for the minutes of the shipped
/// rules.
const STUCK: &str = "> 8s";

/// The folder of the shipped rules.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");

/// Returns those of the ids that no shipped rule has.
pub(crate) fn unknown(ids: impl Iterator<Item = &'static str>) -> BTreeSet<&'static str> {
    let shipped: String = texts().map(|(_, text)| text).collect();
    let known: BTreeSet<_> = shipped.lines().filter_map(|line| line.trim().strip_prefix("- id: ")).collect();
    ids.filter(|id| !known.contains(id)).collect()
}

/// Returns the shipped rule files.
fn texts() -> impl Iterator<Item = (PathBuf, String)> {
    let files = std::fs::read_dir(SHIPPED).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
}

/// Writes the shipped rules into `directory`, each with the shortest `for` and `keep_firing_for`.
pub(crate) fn write_impatient(directory: &Path) {
    for (path, text) in texts() {
        let text: String = text.lines().map(impatient).collect();
        std::fs::write(directory.join(path.file_name().unwrap()), text).unwrap();
    }
}

fn impatient(line: &str) -> String {
    match line.trim_start().split(':').next() {
        Some(key @ ("for" | "keep_firing_for")) => format!("    {key}: 1s\n"),
        _ => {
            let line = ["> 5m\"", "> 2m\""]
                .iter()
                .fold(line.to_owned(), |line, long| line.replace(long, &format!("{STUCK}\"")));
            format!("{line}\n")
        }
    }
}
