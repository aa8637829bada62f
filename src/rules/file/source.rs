//! [`RuleTexts`]: the texts of rule files, each read once; the only file of `rules` that does I/O.
//!
//! A text is compared, parsed and reported from the one read: no file is opened a second time, since it may have changed.
//! Pipes and devices, on which a read may never end, and files larger than [`LARGEST`] are refused unread.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::position::Position;

/// Larger than any rule file, and small enough to hold a few times.
const LARGEST: u64 = 1 << 20;

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ReadError {
    /// An [`io::Error`] in a form that can be compared.
    #[error("cannot be read: {message}")]
    Io { kind: io::ErrorKind, message: String },
    #[error("not a regular file")]
    NotAFile,
    #[error("larger than 1 MiB, the limit for a rule file")]
    TooLarge,
    #[error("not UTF-8; save it in that encoding")]
    NotUtf8 { at: Position },
    #[error("no rule files here; expected at least one *.yaml")]
    NoFiles,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io { kind: error.kind(), message: error.to_string() }
    }
}

/// The text of a file, or why it could not be read; also a directory without rule files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleText {
    pub(crate) path: PathBuf,
    pub(crate) text: Result<String, ReadError>,
}

impl RuleText {
    fn read(path: PathBuf) -> Self {
        Self { text: read(&path), path }
    }
}

/// The texts of some files as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleTexts(pub(super) Vec<RuleText>);

impl RuleTexts {
    /// Reads the rule files of a directory, in the order of their names.
    pub(crate) fn of_dir(directory: &Path) -> Self {
        let unread = |error| Self(vec![RuleText { path: directory.to_owned(), text: Err(error) }]);
        match list(directory) {
            Ok(paths) if paths.is_empty() => unread(ReadError::NoFiles),
            Ok(paths) => Self(paths.into_iter().map(RuleText::read).collect()),
            Err(error) => unread(error.into()),
        }
    }

    /// Reads the given files, and every rule file of those that are directories.
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        let each = paths
            .iter()
            .flat_map(|path| if path.is_dir() { Self::of_dir(path).0 } else { vec![RuleText::read(path.clone())] });
        Self(each.collect())
    }
}

#[cfg(feature = "replay")]
impl RuleTexts {
    /// Returns the files that could be read, each with its text.
    pub(crate) fn readable(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0.iter().filter_map(|RuleText { path, text }| Some((path.as_path(), text.as_deref().ok()?)))
    }
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| is_rule_file(path));
    paths.sort();
    Ok(paths)
}

/// Leaves hidden files out: editors' swap files, and the `..data` of a Kubernetes ConfigMap.
fn is_rule_file(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    yaml && !hidden && !path.is_dir()
}

fn read(path: &Path) -> Result<String, ReadError> {
    // Looked at before it is opened: opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ReadError::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let column = good.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ReadError::NotUtf8 { at: Position { line: good.matches('\n').count() + 1, column } }
    })?;
    // Some editors begin a file with the mark of its encoding.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("x.yaml"), bytes).expect("written");
        let text = RuleTexts::of_dir(directory.path()).0.remove(0).text;
        assert_eq!(text.as_deref().map_err(ToString::to_string), expected.map_err(str::to_owned));
    }

    #[test]
    fn a_file_is_utf_8_with_or_without_a_mark() {
        check("rules: [] # é".as_bytes(), Ok("rules: [] # é"));
        check("\u{feff}rules: []".as_bytes(), Ok("rules: []"));
        check(b"", Ok(""));
        check(b"rules: [] # \xe9", Err("not UTF-8; save it in that encoding"));
    }

    #[test]
    fn bytes_outside_utf_8_are_reported_with_their_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.yaml");
        std::fs::write(&path, b"rules: []\n# \xc3\xa9 \xe9\n").expect("written");
        assert_eq!(read(&path), Err(ReadError::NotUtf8 { at: Position { line: 2, column: 5 } }));
    }

    #[test]
    fn a_file_has_a_size() {
        check("#".repeat(1 << 20).as_bytes(), Ok(&"#".repeat(1 << 20)));
        check("#".repeat((1 << 20) + 1).as_bytes(), Err("larger than 1 MiB, the limit for a rule file"));
    }

    #[test]
    fn a_directory_without_rule_files_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let texts = |path: &Path| RuleTexts::of_dir(path).0;
        let of = |path: &Path, error| vec![RuleText { path: path.to_owned(), text: Err(error) }];
        assert_eq!(texts(directory.path()), of(directory.path(), ReadError::NoFiles));
        let gone = directory.path().join("gone");
        assert_eq!(texts(&gone), of(&gone, io::Error::from_raw_os_error(2).into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_without_waiting() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.yaml");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
        assert!(made.success());
        assert_eq!(RuleTexts::of_dir(directory.path()).0, [RuleText { path, text: Err(ReadError::NotAFile) }]);
    }
}
