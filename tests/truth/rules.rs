//! The shipped rules with shorter waiting times.

use std::path::Path;

/// Longest run of a task, and longest request in flight, in the rules of the services; it stands for the minutes of the shipped
/// rules.
const STUCK: &str = "> 8s";

/// Writes the shipped rules into `directory`, each with the shortest `for` and `keep_firing_for`.
pub(crate) fn write_impatient(directory: &Path) {
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rules"));
    for file in std::fs::read_dir(shipped).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text: String = std::fs::read_to_string(&path).unwrap().lines().map(impatient).collect();
            std::fs::write(directory.join(path.file_name().unwrap()), text).unwrap();
        }
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
