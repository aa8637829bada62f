//! The first bytes of a file, checked before redb sees it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use super::error::ArchiveError;

/// What every redb file begins with.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";
/// Where the two halves of the head hold the format of the file. redb writes them in turn, so that one is always whole.
const FORMAT_BYTES: [usize; 2] = [64, 192];
/// The format that this release of redb reads and writes.
const STORE_FORMAT: u8 = 3;
/// More formats than redb will have soon: a number beyond is damage and not a later format.
const FORMATS: u8 = 32;
/// Bytes that are read: both halves of the head.
const HEAD: u64 = 256;

/// Refuses a file that redb would damage or panic on: another program's, or one of a later format. Returns whether the
/// file is empty or missing.
pub(super) fn check(path: &Path) -> Result<bool, ArchiveError> {
    let is_file = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(ArchiveError::from_io(error)),
        Ok(metadata) => metadata.is_file(),
    };
    if !is_file {
        return Err(ArchiveError::Foreign);
    }
    let mut head = Vec::new();
    // Another process that has the file open may hold a lock that forbids even this.
    File::open(path)
        .map_err(ArchiveError::from_io)?
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(ArchiveError::from_io)?;
    match &head[..] {
        [] => Ok(true),
        head if head.starts_with(&MAGIC) => match FORMAT_BYTES.map(|at| head.get(at)) {
            // redb reports a later format as damage, and the archive would set the file aside.
            [Some(&format), Some(&other)] if format == other && (STORE_FORMAT + 1..FORMATS).contains(&format) => {
                Err(ArchiveError::StoreFormat(format))
            }
            _ => Ok(false),
        },
        head if MAGIC.starts_with(head) => Err(ArchiveError::Broken("all but its beginning is lost".to_owned())),
        // A file system that lost the blocks of a file leaves zeros.
        head if head.iter().take(MAGIC.len()).all(|byte| *byte == 0) => {
            Err(ArchiveError::Broken("its beginning is lost".to_owned()))
        }
        _ => Err(ArchiveError::Foreign),
    }
}
