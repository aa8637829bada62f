//! Whether a path can be sent at all, as far as it is known before the test.

/// Longest path with its query that the HTTP library sends.
const MOST_BYTES: usize = 65_534 - 1024;

/// Says why an address with this path cannot be sent, or would be sent as another one; `None` if nothing is wrong with it.
/// `texts` are the parts of the path between its placeholders.
pub(crate) fn unsendable<'t>(path: &str, texts: impl IntoIterator<Item = &'t str>) -> Option<String> {
    if path.starts_with("//") || path.starts_with("/\\") {
        return Some(format!("\"{}\" is the address of another host; a path starts with one \"/\"", start(path)));
    }
    let mut bytes = 0;
    for text in texts {
        bytes += text.len();
        let problem = text.chars().find_map(|c| match c {
            '#' => Some("has a \"#\", and what is behind it is never sent; write %23"),
            '\\' => Some("has a \"\\\", which would be sent as \"/\"; write %5C"),
            control if control.is_control() => Some("has a line break or another control character; write it as %0A"),
            _ => None,
        });
        if let Some(problem) = problem {
            return Some(format!("\"{}\" {problem}", start(path)));
        }
    }
    (bytes > MOST_BYTES).then(|| format!("a path of {bytes} bytes is longer than HTTP libraries send: {MOST_BYTES}"))
}

/// Returns the start of a path, so that a message stays a line.
fn start(path: &str) -> String {
    path.chars().take(80).flat_map(char::escape_debug).collect::<String>().replace("\\\\", "\\").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(unsendable(path, [path]).as_deref(), expected);
    }

    #[test]
    fn a_path_that_would_go_elsewhere_is_found() {
        check("/a/b?c=d|{\"e\"}", None);
        check("//evil/a", Some("\"//evil/a\" is the address of another host; a path starts with one \"/\""));
        check("/\\evil/a", Some("\"/\\evil/a\" is the address of another host; a path starts with one \"/\""));
        check("/a#b", Some("\"/a#b\" has a \"#\", and what is behind it is never sent; write %23"));
        check("/a\\b", Some("\"/a\\b\" has a \"\\\", which would be sent as \"/\"; write %5C"));
        check("/a\nb", Some("\"/a\\nb\" has a line break or another control character; write it as %0A"));
        assert!(unsendable("/", ["x".repeat(70_000).as_str()]).unwrap().contains("70000 bytes"));
    }
}
